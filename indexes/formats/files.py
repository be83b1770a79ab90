"""Files of vectors in any format: which format lies at a path, reading, writing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from ance_ir import registries
from ance_ir.errors import IndexingError
from ance_ir.files import as_path, atomic_folder
from ance_ir.indexes.formats.batches import BATCH, Batch, checked
from ance_ir.indexes.formats.format import Format
from ance_ir.indexes.formats.prebuilt import located
from ance_ir.registry import Registry

FORMATS: Registry[Format] = registries.INDEX_FORMATS


def find_format(source: Path) -> str:
    """The name of the format that lies at a path; formats with files of fixed names are tried first.

    Raises:
        IndexingError: there is nothing, or no known format.
    """
    source = located(source)
    names = [entry.name for entry in source.iterdir()] if source.is_dir() else [source.name]
    for name in sorted(FORMATS, key=lambda name: any("*" in pattern for pattern in FORMATS[name].patterns)):
        if any(fnmatch(file, pattern) for file in names for pattern in FORMATS[name].patterns):
            return name
    known = "; ".join(f"{name} ({FORMATS.summary(name)})" for name in FORMATS)
    raise IndexingError(f"{source} holds no vectors in a known format: {known}")


def read_vectors(source: Path | str, format: str | None = None, *, rows: int = BATCH) -> Iterator[Batch]:
    """The vectors at a path with their ids, in batches; memory does not grow with their number.

    Args:
        source: a folder or a file, or the name of one of Pyserini's prebuilt indexes in its cache.
        format: one of ``FORMATS``; ``None`` recognises it.
        rows: of a batch.

    Returns:
        Batches of ids, an object array of str ``[n]``, and float32 vectors ``[n, D]``.

    Raises:
        IndexingError: the format is not known, or the files are damaged, or holds vectors that are not finite or of different dimensions.
        MalformedFileError: a line that is not of the format.
        UsageError: there is no such format.
    """
    source = located(source)
    form = FORMATS.find(format or find_format(source))
    return checked(source, form.read(source, rows))


def write_vectors(target: Path | str, batches: Iterable[Batch], format: str, *, overwrite: bool = False) -> int:
    """Write vectors with their ids into a folder, whole or not at all.

    Args:
        target: the folder.
        batches: at least one row; vectors of one dimension, float16 or float32.
        format: one of ``FORMATS``.
        overwrite: whether an existing folder in this format may be replaced.

    Returns:
        How many rows were written.

    Raises:
        IndexingError: there is such a folder, there is no row, or the format cannot hold an id.
        UsageError: there is no such format, or something else is at the target.
    """
    target, form = as_path(target), FORMATS.find(format)
    if not overwrite and (target / form.marker).exists():
        raise IndexingError(f"{target} already holds vectors in the format {format}; choose another path, or overwrite it")
    rows = 0

    def counted() -> Iterator[Batch]:
        nonlocal rows
        for ids, vectors in batches:
            rows += len(ids)
            yield ids, vectors
        if not rows:
            raise IndexingError(f"{target}: there are no vectors to write")

    with atomic_folder(target, form.marker) as folder:
        form.write(folder, counted())
    return rows
