"""Building a corpus graph: in parts, so that a build that was killed goes on, and whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from ance_ir.arrays import map_array, save_array
from ance_ir.errors import DamagedIndexError
from ance_ir.files import atomic_folder, flush_folder, read_json, write_json
from ance_ir.indexes.ann.build import are_unit, open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import resolve
from ance_ir.indexes.graph.neighbours import SelfSearch
from ance_ir.indexes.graph.unit import UnitVectors
from ance_ir.indexes.search.device import exact_searcher
from ance_ir.indexes.search.searcher import VectorSearcher
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.indexes.store.docno_lookup import docno_lookup
from ance_ir.indexes.store.graphs import META
from ance_ir.indexes.store.snapshot import faiss_folder
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.progress import Progress, Told

EDGES, WEIGHTS, DOCNOS = "edges.u32.np", "weights.f16.np", "docnos.npids"
_PARTS = "parts.json"
_DOCNOS = 1 << 16
"""Docnos that are written together."""


def build_graph(
    index: SearchableIndex, folder: Path, meta: dict[str, Any], npids: Any, *, device: str, verbose: bool, told: Told | None
) -> None:
    """Search an index with its own vectors, and write its graph.

    Args:
        index: the index.
        folder: of the graph; what has the name is replaced.
        meta: what ``pt_meta.json`` will hold, ``k`` and ``backend`` among it.
        npids: the module.
        device: where exact search computes.
        verbose: show progress.
        told: is told the progress, in documents.
    """
    parts = folder.with_name(f"{folder.name}.building")
    _begin(parts, meta)
    search = _self_search(index, str(meta["backend"]), parts, device=device, verbose=verbose)
    k = int(meta["k"])
    blocks = [*search.blocks(k)]
    with Progress(len(index), "building the corpus graph", "documents", shown=verbose, told=told) as progress:
        for first, end in blocks:
            edges, weights = _paths(parts, first)
            if not weights.exists():
                found = search.neighbours(first, end, k)
                save_array(edges, found[0])
                save_array(weights, found[1])
            progress.update(len(_part(weights, "float16", k)))
    with atomic_folder(folder, META) as made:
        for name, place, dtype in ((EDGES, 0, "uint32"), (WEIGHTS, 1, "float16")):
            with (made / name).open("wb") as stream:
                for first, _ in blocks:
                    stream.write(np.ascontiguousarray(_part(_paths(parts, first)[place], dtype, k)).data)
        with docno_lookup(npids, made / DOCNOS) as add:
            for docnos in _docnos(index, blocks):
                add(docnos)
        write_json(made / META, meta)
        flush_folder(made)
        shutil.rmtree(parts)  # before the graph is in place: nobody would look for them after a kill in between


def _begin(parts: Path, meta: dict[str, Any]) -> None:
    """Make the folder of parts, or keep those that an earlier process has left of the same graph."""
    if (parts / _PARTS).exists() and read_json(parts / _PARTS) == meta:
        return
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    write_json(parts / _PARTS, meta)


def _self_search(index: SearchableIndex, backend: str, scratch: Path, *, device: str, verbose: bool) -> SelfSearch:
    """Searches by cosine. Faiss uses the index's own files where its vectors have length 1, else files of its own, for the time being."""
    table, vectors = index.table, UnitVectors(index.vectors)
    settings = resolve(index.folder, backend)
    searcher: VectorSearcher
    if settings is None:
        searcher = exact_searcher(cast("VectorStore", vectors), table.tie_order, device=device, searchable=table.searchable)
    else:
        unit = are_unit(index.vectors)
        store = index.vectors if unit else cast("VectorStore", vectors)
        files = index.folder / faiss_folder(index.manifest) if unit else scratch / "faiss"
        searcher = FaissSearcher(open_faiss(store, files, settings, verbose=verbose), store, table.tie_order, settings, table.searchable)
    return SelfSearch(table=table, vectors=vectors, searcher=searcher)


def _docnos(index: SearchableIndex, blocks: Iterable[tuple[int, int]]) -> Iterator[list[str]]:
    """Docnos of documents that are not deleted, in batches that are not empty."""
    for first, end in blocks:
        for start in range(first, end, _DOCNOS):
            numbers = np.setdiff1d(np.arange(start, min(start + _DOCNOS, end)), index.table.deleted, assume_unique=True)
            if len(numbers):
                yield index.docnos(numbers).tolist()


def _paths(parts: Path, first: int) -> tuple[Path, Path]:
    return parts / f"edges-{first:010d}.npy", parts / f"weights-{first:010d}.npy"


def _part(path: Path, dtype: str, k: int) -> np.ndarray:
    return map_array(path, dtype, (None, k), error=DamagedIndexError, remedy=f"remove {path.parent} and build the graph again")
