"""The formats of other tools: which one lies at a path, and reading and writing any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ance_ir.errors import IndexingError, UsageError
from ance_ir.files import as_path, atomic_folder
from ance_ir.indexes.formats import embeddings_jsonl, flex, npy, pyserini_faiss
from ance_ir.indexes.formats.batches import BATCH, Batch, checked


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a tool keeps vectors with their ids.

    Attributes:
        told: what it is, in a few words.
        patterns: names of files by which it is told.
        marker: a file that every folder in it holds once written.
        read: from a file or folder and the rows of a batch to batches, float vectors of any type.
        write: writes batches into an empty folder.
    """

    told: str
    patterns: tuple[str, ...]
    marker: str
    read: Callable[[Path, int], Iterator[Batch]]
    write: Callable[[Path, Iterable[Batch]], None]


FORMATS = {
    "flex": Format(
        told="a FlexIndex of pyterrier_dr: vecs.f4, docnos.npids, pt_meta.json",
        patterns=("vecs.f4", "docnos.npids"),
        marker="vecs.f4",
        read=flex.read,
        write=flex.write,
    ),
    "pyserini-faiss": Format(
        told="a Faiss directory of Pyserini: index, docid",
        patterns=("index", "docid"),
        marker="docid",
        read=pyserini_faiss.read,
        write=pyserini_faiss.write,
    ),
    "embeddings-jsonl": Format(
        told="an encoded corpus of Pyserini: *.jsonl",
        patterns=embeddings_jsonl.PATTERNS,
        marker="embeddings.jsonl",
        read=embeddings_jsonl.read,
        write=embeddings_jsonl.write,
    ),
    "npy": Format(
        told="plain arrays: *.npy, ids.txt",
        patterns=("*.npy",),
        marker="ids.txt",
        read=npy.read,
        write=npy.write,
    ),
}
"""In the order in which a path is looked at."""


def find_format(source: Path) -> str:
    """The name of the format that lies at a path.

    Raises:
        IndexingError: there is nothing, or nothing that is understood.
    """
    if not source.exists():
        raise IndexingError(f"{source}: there is nothing to read")
    names = [entry.name for entry in source.iterdir()] if source.is_dir() else [source.name]
    for name, form in FORMATS.items():
        if any(fnmatch(file, pattern) for file in names for pattern in form.patterns):
            return name
    understood = "; ".join(f"{name} ({form.told})" for name, form in FORMATS.items())
    raise IndexingError(f"{source} holds no vectors in a format that is understood: {understood}")


def read_vectors(source: Path | str, format: str | None = None, *, rows: int = BATCH) -> Iterator[Batch]:
    """The vectors at a path with their ids, in batches; what is held in memory does not grow with their number.

    Args:
        source: a folder or a file.
        format: one of ``FORMATS``; ``None`` looks what it is.
        rows: of a batch.

    Returns:
        Batches of ids, an object array of str ``[n]``, and float32 vectors ``[n, D]``.

    Raises:
        IndexingError: what lies there is not understood, damaged, or holds vectors that are not finite or of different dimensions.
        MalformedFileError: a line that is not what it should be.
        UsageError: there is no such format.
    """
    source = as_path(source)
    form = format_named(format or find_format(source))
    return checked(source, form.read(source, rows))


def write_vectors(target: Path | str, batches: Iterable[Batch], format: str, *, overwrite: bool = False) -> int:
    """Write vectors with their ids into a folder, whole or not at all.

    Args:
        target: the folder.
        batches: at least one row; vectors of one dimension, float16 or float32.
        format: one of ``FORMATS``.
        overwrite: whether it may take the place of such a folder that is there.

    Returns:
        How many rows were written.

    Raises:
        IndexingError: such a folder is there, there is no row, or the format cannot hold an id.
        UsageError: there is no such format, or something else lies at the target.
    """
    target, form = as_path(target), format_named(format)
    if not overwrite and (target / form.marker).exists():
        raise IndexingError(f"{target} holds {form.told} already; choose another path, or overwrite it")
    rows = 0

    def counted() -> Iterator[Batch]:
        nonlocal rows
        for ids, vectors in batches:
            rows += len(ids)
            yield ids, vectors
        if not rows:
            raise IndexingError(f"{target}: there is no vector to write")

    with atomic_folder(target, form.marker) as folder:
        form.write(folder, counted())
    return rows


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"the formats are {', '.join(FORMATS)}, not {name!r}")
    return FORMATS[name]
