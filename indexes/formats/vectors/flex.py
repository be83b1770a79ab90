"""FlexIndex of pyterrier_dr: vecs.f4 (float32 [documents, D]), docnos.npids, pt_meta.json."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ance_ir.errors import DamagedIndexError, IndexingError
from ance_ir.files import write_json
from ance_ir.indexes.formats.batches import Batch, id_array
from ance_ir.indexes.formats.format import Format
from ance_ir.indexes.store.docno_lookup import docno_lookup, npids_for
from ance_ir.typed_json import read_typed

_META = {"type": "dense_index", "format": "flex"}


class _Meta(TypedDict):
    type: str
    format: str
    vec_size: int
    doc_count: int


_LARGEST = 1 << 16


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The vectors of the index, mapped, and its docnos.

    Raises:
        DamagedIndexError: a file is missing, or does not agree with ``pt_meta.json``.
        MissingDependencyError: npids is not installed.
    """
    folder = source if source.is_dir() else source.parent
    count, dimension = _shape(folder)
    vectors = folder / "vecs.f4"
    size = vectors.stat().st_size if vectors.exists() else 0
    if size != 4 * count * dimension:
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
    total = dimension = 0
    with (folder / "vecs.f4").open("wb") as stream, docno_lookup(npids(), folder / "docnos.npids") as add:
        for ids, vectors in batches:
            add(ids)
            stream.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            total, dimension = total + len(ids), vectors.shape[1]
    write_json(folder / "pt_meta.json", {**_META, "vec_size": dimension, "doc_count": total})


def npids() -> Any:
    """The module ``npids``; see ``npids_for``."""
    return npids_for("a FlexIndex", "flex")


def _shape(folder: Path) -> tuple[int, int]:
    """The numbers of documents and dimensions in ``pt_meta.json``."""
    path = folder / "pt_meta.json"
    try:
        meta = read_typed(path, _Meta, error=DamagedIndexError, remedy="a FlexIndex's description was expected; download the folder again")
    except FileNotFoundError as error:
        raise DamagedIndexError(f"{path}: a description of a FlexIndex was expected; there is none") from error
    found = {key: meta[key] for key in _META}
    if found != _META:
        raise IndexingError(f"{path}: a FlexIndex was expected, found {found}")
    if meta["doc_count"] < 1 or meta["vec_size"] < 1:
        raise DamagedIndexError(f"{path}: {meta['doc_count']} vectors of {meta['vec_size']} dimensions; download the folder again")
    return meta["doc_count"], meta["vec_size"]


def _docnos(path: Path, count: int) -> Iterator[str]:
    library = npids()
    found = 0
    try:
        _check_blocks(path)
        with warnings.catch_warnings(action="ignore"):  # about an old version
            lookup = library.Lookup(path)
        if len(lookup) != count:
            raise DamagedIndexError(f"{path}: {count:,} docnos were expected, found {len(lookup):,}")
        for docno in lookup:
            found += 1
            yield str(docno)
    except DamagedIndexError:
        raise
    except Exception as error:  # npids raises many kinds on truncated or other files
        raise DamagedIndexError(f"{path}: npids cannot read it ({type(error).__name__}: {error})") from error
    if found != count:
        raise DamagedIndexError(f"{path}: {count:,} docnos were expected, found {found:,}")


def _check_blocks(path: Path) -> None:
    """Refuse blocks out of order, which npids would read for ever, and numbers for which it would allocate much memory."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as stream:
        layout, link = ("<IqqI", 1) if stream.read(4) == b"NPID" else ("<qqII", 0)  # as before version 1
        while True:
            stream.seek(place)
            header = struct.unpack(layout, stream.read(struct.calcsize(layout)))
            config = json.loads(stream.read(min(size, header[3] if link else header[2])) or b"{}")
            large = {name: one for name, one in config.items() if name != "start" and isinstance(one, int) and not -1 <= one <= _LARGEST}
            if large:
                raise ValueError(f"too large numbers: {large}")
            if header[link] == -1:
                return
            if not place < header[link] < size:
                raise ValueError(f"byte {header[link]} after byte {place} of {size}")
            place = header[link]


FORMAT = Format(patterns=("vecs.f4", "docnos.npids"), marker="vecs.f4", read=read, write=write)
