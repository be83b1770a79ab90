"""pyterrier_dr's FlexIndex: ``vecs.f4`` (float32 ``[documents, D]``), ``docnos.npids`` and ``pt_meta.json``.

The package npids picks an encoding for runs of docnos and writes some that it cannot read again: a block of one, large numbers, prefixes
that end within a character. Ours are written in the one encoding, with the one way back, that hold every docno.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import DamagedIndexError, IndexingError
from ance_ir.files import read_json, write_json
from ance_ir.indexes.formats.batches import Batch, id_array
from ance_ir.optional import optional

_META = {"type": "dense_index", "format": "flex"}
_FORWARD = 0
"""How npids marks a block that leads from numbers to docnos."""


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The index's vectors, mapped, and its docnos.

    Raises:
        DamagedIndexError: a file is missing, or is not what ``pt_meta.json`` says.
        MissingDependencyError: npids is not installed.
    """
    folder = source if source.is_dir() else source.parent
    count, dimension = _shape(folder)
    vectors = folder / "vecs.f4"
    size = vectors.stat().st_size if vectors.exists() else 0
    if size != 4 * count * dimension or not size:
        raise DamagedIndexError(f"{vectors}: {count:,} vectors of {dimension} dimensions were expected, found {size:,} bytes")
    docnos = _docnos(folder / "docnos.npids", count)
    mapped = np.memmap(vectors, dtype="<f4", mode="r", shape=(count, dimension))
    for first in range(0, count, rows):
        block = mapped[first : first + rows]
        yield id_array(islice(docnos, len(block))), block


def write(folder: Path, batches: Iterable[Batch]) -> None:
    """Write a FlexIndex.

    Raises:
        IndexingError: a docno that ends in a NUL character.
        MissingDependencyError: npids is not installed.
    """
    library = npids()
    total = dimension = 0
    docnos = folder / "docnos.npids"
    with (folder / "vecs.f4").open("wb") as stream, library.utils.FileManager(docnos, "a") as lookup:
        for ids, vectors in batches:
            encoded = np.array([docno.encode() for docno in ids])
            if any(docno.endswith("\0") for docno in ids):
                raise IndexingError("a FlexIndex keeps no docno that ends in a NUL character")
            lookup.write_header(_FORWARD, len(ids), {"format": "fixedbytes", "length": encoded.itemsize, "prefix": ""})
            lookup.write(encoded.tobytes())
            stream.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            total, dimension = total + len(ids), vectors.shape[1]
    library.builder.InvLookupBuilder.build(docnos)
    write_json(folder / "pt_meta.json", {**_META, "vec_size": dimension, "doc_count": total})


def npids() -> Any:
    """The module ``npids``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return optional("npids", needed_for="a FlexIndex", remedy="pip install 'ance_ir[flex]'")


def _shape(folder: Path) -> tuple[int, int]:
    """Documents and dimensions, as ``pt_meta.json`` has them."""
    path = folder / "pt_meta.json"
    try:
        meta = read_json(path)
        found = {key: meta[key] for key in _META}
        count, dimension = int(meta["doc_count"]), int(meta["vec_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedIndexError(f"{path}: no description of a FlexIndex ({error})") from error
    if found != _META:
        raise IndexingError(f"{path} describes no FlexIndex but {found}")
    return count, dimension


def _docnos(path: Path, count: int) -> Iterator[str]:
    library = npids()
    try:
        lookup = library.Lookup(path)
    except Exception as error:  # whatever npids meets in a file that is cut short or of another kind
        raise DamagedIndexError(f"{path}: npids cannot read it ({type(error).__name__}: {error})") from error
    if len(lookup) != count:
        raise DamagedIndexError(f"{path}: {count:,} docnos were expected, found {len(lookup):,}")
    return iter(lookup)
