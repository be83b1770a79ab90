"""Arrow files, as streams (as Hugging Face datasets saves them) or with random access (Feather), with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.errors import MalformedFileError
from ance_ir.optional import optional

_BATCH = 4096
_REMEDY = "pip install 'ance_ir[data]'"
_MAGIC = b"ARROW1"


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, which is mapped, not read whole.

    Args:
        path: the file.
        only: the columns to read, of those that there are.

    Raises:
        MalformedFileError: it is no Arrow file, or is damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    arrow = optional("pyarrow", needed_for="reading Arrow files", remedy=_REMEDY)
    number = 0
    try:
        with arrow.memory_map(str(path)) as source:
            if source.read(len(_MAGIC)) == _MAGIC:
                file = arrow.ipc.open_file(source)
                batches = (file.get_batch(at) for at in range(file.num_record_batches))
            else:
                source.seek(0)
                batches = iter(arrow.ipc.open_stream(source))
            for batch in batches:
                batch = batch if only is None else batch.select([name for name in batch.schema.names if name in only])
                for start in range(0, batch.num_rows, _BATCH):
                    for values in batch.slice(start, _BATCH).to_pylist():
                        number += 1
                        yield number, values
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: values that Python cannot hold
        found = " ".join(str(error).split())[:200]
        raise MalformedFileError(path, number + 1, "an Arrow file", found, "It is cut or damaged: fetch it again") from None


FORM = TableFile(suffixes=(".arrow", ".feather"), read=read)
