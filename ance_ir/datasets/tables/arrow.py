"""Arrow files, as streams (as Hugging Face datasets saves them) or with random access (Feather), with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.datasets.tables.parquet import damage_named
from ance_ir.optional import optional

_BATCH = 4096
_REMEDY = "pip install 'ance_ir[data]'"
_MAGIC = b"ARROW1"


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, by its batches.

    Args:
        path: the file.
        only: the columns to read, of those that there are.

    Raises:
        MalformedFileError: it is no Arrow file, or is damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    arrow = optional("pyarrow", needed_for="reading Arrow files", remedy=_REMEDY)
    number = 0
    with damage_named(path, "Arrow"), arrow.OSFile(str(path)) as source:
        for batch in _batches(arrow, source):
            batch = batch if only is None else batch.select([name for name in batch.schema.names if name in only])
            batch.validate(full=True)  # offsets of a damaged file could point at any byte of memory
            for start in range(0, batch.num_rows, _BATCH):
                for values in batch.slice(start, _BATCH).to_pylist():
                    number += 1
                    yield number, values


def _batches(arrow: Any, source: Any) -> Iterator[Any]:
    """The batches of a file, whichever of the two forms it has."""
    if source.read(len(_MAGIC)) == _MAGIC:
        file = arrow.ipc.open_file(source)
        return (file.get_batch(at) for at in range(file.num_record_batches))
    source.seek(0)
    return iter(arrow.ipc.open_stream(source))


FORM = TableFile(suffixes=(".arrow", ".feather"), read=read)
