"""Encoded corpus of Pyserini: *.jsonl, lines of {"id", "contents", "vector"}."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ance_ir.compression import ENDINGS
from ance_ir.datasets.ids import Ids
from ance_ir.datasets.parsing import clean_id
from ance_ir.errors import IndexingError
from ance_ir.indexes.formats.batches import Batch, id_array
from ance_ir.indexes.formats.format import Format
from ance_ir.models.compute.batching import chunks
from ance_ir.reading import Line, lines

_PATTERNS = tuple(f"*.jsonl{ending}" for ending in ("", *ENDINGS))


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The vectors of the file, or of the folder's files in the order of their names, plain or compressed.

    Raises:
        MalformedFileError: a line is not such an object, or its vector has another dimension than the first.
        IndexingError: the folder has no such file.
    """
    files = [source] if source.is_file() else sorted(path for pattern in _PATTERNS for path in source.glob(pattern))
    if not files:
        raise IndexingError(f"{source}: files with names in .jsonl were expected; there is none")
    for chunk in chunks(_parsed((line for file in files for line in lines(file)), Ids(source)), rows):
        yield id_array(one for one, _ in chunk), np.stack([vector for _, vector in chunk])


def write(folder: Path, batches: Iterable[Batch]) -> None:
    """Write ``embeddings.jsonl``. An index holds no texts: ``contents`` is empty."""
    with (folder / "embeddings.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for ids, vectors in batches:
            for one, vector in zip(ids, vectors, strict=True):
                stream.write(json.dumps({"id": one, "contents": "", "vector": vector.tolist()}) + "\n")


def _parsed(stream: Iterable[Line], ids: Ids) -> Iterator[tuple[str, np.ndarray]]:
    dimension = 0
    for line in stream:
        value = line.json()
        one = value.get("id")
        if isinstance(one, bool) or not isinstance(one, str | int):
            raise line.error("an id, a string, under the key 'id'")
        one = clean_id(line, str(one), "id", ids)
        vector = _vector(line, value.get("vector"))
        dimension = dimension or len(vector)
        if len(vector) != dimension:
            raise line.error(f"a vector of {dimension} dimensions as in the first line", f"{len(vector)} dimensions")
        yield one, vector
    ids.report()


def _vector(line: Line, numbers: object) -> np.ndarray:
    expected = "a list of finite numbers under the key 'vector'"
    if not isinstance(numbers, list) or not numbers:
        raise line.error(expected)
    try:
        with np.errstate(over="ignore"):
            vector = np.array(numbers, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise line.error(expected) from None
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise line.error(expected)
    return vector


FORMAT = Format(patterns=_PATTERNS, marker="embeddings.jsonl", read=read, write=write)
