"""Opening the corpus graph of an index, which is built first where there is none of the index as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.indexes.ann.build import UNWRITABLE
from ance_ir.indexes.ann.settings import checked_backend, resolve
from ance_ir.indexes.cluster.connection import is_cluster
from ance_ir.indexes.graph.building import EDGES, WEIGHTS, build_graph
from ance_ir.indexes.graph.neighbours import MOST_NEIGHBOURS, number_at, place_of
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.indexes.store.docno_lookup import npids_for
from ance_ir.indexes.store.graphs import read_meta, state_of
from ance_ir.indexes.store.snapshot import graphs_named, read_manifest
from ance_ir.locks import make_once
from ance_ir.optional import optional
from ance_ir.progress import Told
from ance_ir.settings import as_integer

_WHAT, _EXTRA = "corpus graphs", "adaptive"


def checked_graph_backend(text: str) -> str:
    """The name of a backend that finds neighbours, as it is.

    Raises:
        UsageError: there is none of that name, or it is a cluster, which does not.
    """
    if is_cluster(text):
        raise UsageError(f"a corpus graph's neighbours are found by exact, tuned or a family of Faiss indexes, e.g. ivf, not by {text!r}")
    return checked_backend(text)


def graph_of(
    index: SearchableIndex,
    k: int = 16,
    *,
    backend: str = "exact",
    device: str = "cpu",
    verbose: bool = False,
    told: Told | None = None,
) -> Any:
    """The graph of an index; see ``AnceIndex.corpus_graph``."""
    try:
        k = as_integer(k, 1, MOST_NEIGHBOURS)
    except UsageError as error:
        raise UsageError(f"the number of neighbours {error}") from None
    settings = resolve(index.folder, checked_graph_backend(backend))
    backend = "exact" if settings is None else str(settings)  # of "tuned", what tuning has chosen by now
    key = (k, backend)
    if key not in index.graphs:
        if not len(index):
            raise IndexingError(f"{index.folder} holds no documents, so it has no corpus graph; add documents first")
        library = optional("pyterrier_adaptive", needed_for=_WHAT, remedy=f"pip install 'ance_ir[{_EXTRA}]'", package="pyterrier-adaptive")
        folder = index.folder / f"{graphs_named(index.manifest)}-{re.sub(r'[^A-Za-z0-9]+', '-', backend)}"
        meta = {
            "type": "corpus_graph",
            "format": "np_topk",
            "package_hint": "pyterrier-adaptive",
            "doc_count": len(index),
            "k": k,
            "backend": backend,
            "index": state_of(index.manifest),
        }

        def make() -> None:
            if read_manifest(index.folder) != index.manifest:
                raise _changed(index)
            try:
                build_graph(index, folder, meta, npids_for(_WHAT, _EXTRA), device=device, verbose=verbose, told=told)
            except (DamagedIndexError, FileNotFoundError) as error:  # a change removes the parts of graphs of the state before it
                if read_manifest(index.folder) != index.manifest:
                    raise _changed(index) from error
                raise

        try:
            make_once(folder, lambda: _holds(folder, meta), make, "building the corpus graph")
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            raise IndexingError(
                f"{error.filename or folder} cannot be written ({error.strerror}), and there is no corpus graph of {k} neighbours by "
                f"{backend} yet; copy the index to a place that can be written, or build the graph where the index can be written: "
                f"ance-ir index graph INDEX -k {k} --backend {backend}"
            ) from error
        index.graphs[key] = _open(library, folder, k)
    return index.graphs[key]


def neighbours_of(index: SearchableIndex, graph: Any, numbers: np.ndarray) -> np.ndarray:
    """The numbers of the neighbours of documents, int64 ``[N, k]``, of their numbers, int64 ``[N]``."""
    return number_at(index.table, graph.edges_data[place_of(index.table, numbers)])


def _changed(index: SearchableIndex) -> IndexingError:
    return IndexingError(f"{index.folder} has changed since it was opened, so there is no graph of that state; open it again: reopen()")


def _holds(folder: Path, meta: dict[str, Any]) -> bool:
    """Whether there is a graph of the index as it is, with as many neighbours or more."""
    try:
        found = read_meta(folder)
    except FileNotFoundError:
        return False
    return bool(found["k"] >= meta["k"]) and {**found, "k": 0} == {**meta, "k": 0}


def _open(library: Any, folder: Path, k: int) -> Any:
    """The graph in a folder, cut to k neighbours.

    Raises:
        DamagedIndexError: its files do not have the size that they should have, or name documents that there are not.
    """
    found = read_meta(folder)
    for name, width in ((EDGES, 4), (WEIGHTS, 2)):
        expected, path = width * found["k"] * found["doc_count"], folder / name
        size = path.stat().st_size if path.exists() else 0
        if size != expected:
            raise DamagedIndexError(f"{path}: expected {expected:,} bytes, found {size:,}; remove {folder}, and the graph is built again")
    graph = library.NpTopKCorpusGraph(folder, k)
    largest = int(graph.edges_data.max(initial=0))
    if largest >= found["doc_count"]:
        raise DamagedIndexError(
            f"{folder / EDGES}: expected {found['doc_count']:,} documents, found number {largest:,}; remove {folder}, and the graph is "
            "built again"
        )
    return graph
