"""The dense index: a folder of vectors, docnos and a manifest that says how they were made.

``manifest.json`` is written last and is the only sign that the index is complete::

    x.ance/manifest.json          encoding, dimension, dtype, counts, shards, checksums of all files
    x.ance/pt_meta.json           type and format, for PyTerrier
    x.ance/vectors-00000.npy …    float16 or float32 [rows, D]
    x.ance/docnos/                docno to number and back
    x.ance/tie_order.npy          int64 [documents]; of two documents with equal scores the one with the smaller number comes first
    x.ance/offsets.npy            int64 [documents + 1]; the rows of document i; only where documents were cut into passages
    x.ance/text_hashes.npy        uint64 [documents]; of their titles and texts; only where these were known
    x.ance/faiss-00000/           Faiss files, built when first needed; see ``ann.build``
    x.ance/graph-00000-exact/     a corpus graph, built when first needed; see ``graph``
    x.ance/search.json            the tuner's choice; see ``ann.settings``

``store.updates`` describes the files that changes add.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets import DocnoMap
from ance_ir.datasets.frames import queries_frame
from ance_ir.errors import IndexingError
from ance_ir.files import TEMPORARY, as_path, write_json
from ance_ir.hub import PREFIX, check_upload, upload
from ance_ir.indexes.card import readme
from ance_ir.indexes.graph import graph_of
from ance_ir.indexes.hub import PACKAGE, fetched
from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.indexes.store import updates
from ance_ir.indexes.store.build import IndexBuild
from ance_ir.indexes.store.commit import changing, new_index
from ance_ir.indexes.store.snapshot import write_manifest
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import VectorType, VectorWriter
from ance_ir.models import DenseEncoder
from ance_ir.progress import Told


class AnceIndex(SearchableIndex, pt.Artifact, pt.Indexer):
    """A dense index on disk; an indexer at the end of a pipeline, then a factory of retrievers.

    Args:
        path: its folder, or ``hf:ORGANISATION/NAME`` of one on the hub, @REVISION after it or not, which is fetched once into PyTerrier's
            cache.
        dtype: how vectors are stored, when it is built.
        overwrite: whether ``index`` may replace an existing index.
    """

    ARTIFACT_TYPE = "dense_index"
    ARTIFACT_FORMAT = "ance_ir"
    ARTIFACT_PACKAGE_HINT = "ance_ir"
    schematic: ClassVar[dict[str, str | None]] = {"label": "ANCE index", "help_url": None}

    def __init__(self, path: Path | str, *, dtype: VectorType = "float32", overwrite: bool = False) -> None:
        folder = as_path(fetched(str(path)) if str(path).startswith(PREFIX) else path)
        super().__init__(folder)
        self.folder = folder
        self.dtype = dtype
        self.overwrite = overwrite

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs."""
        return [["docno", "doc_vec"]]

    def index(self, iter: Iterable[dict[str, Any]]) -> AnceIndex:  # type: ignore[override]  # no keyword is swallowed
        """Build the index from a stream of ``docno`` and ``doc_vec``; whole or not at all.

        With an ``encoding`` (from ``model.passages()``) the model's fingerprint is kept, and consecutive passages of a document are joined.

        Raises:
            IndexingError: there is an index at the path, or a vector is not finite or of another dimension.
            UsageError: there is something other than an index at the path.
            DatasetError: a docno occurs twice.
        """
        if not self.overwrite and self.built():
            raise IndexingError(f"{self.folder} already holds an index; choose another path, or overwrite=True")
        with new_index(self.folder) as folder:
            (folder / "docnos").mkdir()
            build = IndexBuild(VectorWriter(folder, self.dtype))
            docnos = DocnoMap.write(build.consume(iter), folder / "docnos")
            if not len(docnos):
                raise IndexingError("there was no document to index")
            boundaries = build.rows.boundaries()
            DocumentTable.write(folder, boundaries if build.passages else None, None)
            write_json(folder / "pt_meta.json", self._build_metadata())
            manifest = {
                "encoding": asdict(build.encoding) if build.encoding else None,
                "documents": len(docnos),
                "most_passages": int(np.diff(boundaries).max()) if build.passages else 0,
                **build.vectors.finish(),
            }
            write_manifest(folder, manifest)
        self.reopen()
        return self

    def add(self, iter: Iterable[dict[str, Any]], *, replace: bool = False) -> AnceIndex:
        """Add documents from a stream as ``index`` takes it; all or none. Processes that have the index open keep the state they opened.

        Args:
            iter: of ``docno`` and ``doc_vec``, and ``encoding`` where the index has one: ``(passages >> model.passages())(documents)``.
            replace: replace documents that the index holds; otherwise they are refused.

        Raises:
            FingerprintError: rows of another model, or cut in another way.
            IndexingError: no rows, or a vector is not finite or of another dimension.
            DatasetError: a docno occurs twice, or the index holds it.
        """
        updates.add(self.folder, iter, replace=replace)
        self.reopen()
        return self

    def delete(self, docnos: Iterable[str], *, missing: bool = False) -> int:
        """Delete documents, all or none: they are no longer found, and ``compact`` frees their space.

        Args:
            docnos: of the documents.
            missing: ignore docnos that the index does not hold; otherwise they are refused.

        Returns:
            How many were deleted.

        Raises:
            DocumentNotFoundError: docnos that the index does not hold.
        """
        count = updates.delete(self.folder, docnos, missing=missing)
        self.reopen()
        return count

    def compact(self) -> AnceIndex:
        """Write the index again without its deleted documents, in full shards; Faiss files are built again when next needed.

        Raises:
            IndexingError: no document is left.
            DamagedIndexError: a file was altered.
        """
        updates.compact(self.folder)
        self.reopen()
        return self

    def save(self, path: Path | str) -> AnceIndex:
        """Copy the index to another folder, whole or not at all.

        Raises:
            IndexingError: there is an index at the path.
            UsageError: there is something other than an index.
        """
        copy = AnceIndex(path, dtype=self.dtype)
        if copy.built():
            raise IndexingError(f"{copy.folder} already holds an index; choose another path")
        with changing(self.folder), new_index(copy.folder) as folder:
            for name, file in self._package_files():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name)
        return copy

    def push_to_hub(self, name: str, *, private: bool | None = None, licence: str | None = None) -> str:
        """Upload the index, checked before, to the hub as a dataset that ``AnceIndex("hf:NAME")`` and ``pt.Artifact.from_hf`` open.

        Args:
            name: ``ORGANISATION/NAME``.
            private: whether a new repository is seen by its owners alone; by default as the organisation has it.
            licence: for the card, as the hub writes it: ``"cc-by-4.0"``.

        Returns:
            The repository's address.

        Raises:
            IndexingError: there is no index, or it is damaged.
            UsageError: it is no name on the hub.
            HubError: see ``ance_ir.hub.upload``.
        """
        check_upload(name)
        self.verify()
        with tempfile.TemporaryDirectory() as folder:
            described: dict[str, Any] = {}
            self.build_package(str(Path(folder) / PACKAGE), max_file_size=20e9, metadata_out=described, verbose=False)
            artifact = (self.ARTIFACT_TYPE, self.ARTIFACT_FORMAT)
            card = readme(self._opened, artifact, name, name.rpartition("/")[2], described, licence)
            (Path(folder) / "README.md").write_text(card, encoding="utf-8")
            return upload(Path(folder), name, kind="dataset", private=private)

    def retriever(self, model: DenseEncoder | None = None, num_results: int = 1000, **options: Any) -> DenseRetriever:
        """A PyTerrier retriever: queries to the index's best documents.

        Args:
            model: encodes the queries; by default the index opens its own, see ``model``.
            num_results: documents a query.
            **options: of ``DenseRetriever``.
        """
        return DenseRetriever(self, model or self.own_model(), num_results, **options)

    def scorer(self, model: DenseEncoder | None = None, **options: Any) -> DenseScorer:
        """A PyTerrier re-ranker: scores the documents that it is given; arguments as of ``retriever``, options of ``DenseScorer``."""
        return DenseScorer(self, model or self.own_model(), **options)

    def corpus_graph(
        self, k: int = 16, *, backend: str = "exact", device: str = "cpu", verbose: bool = False, told: Told | None = None
    ) -> Any:
        """The nearest neighbours of each document, by cosine (of passages: by the best pair), as pyterrier-adaptive's corpus graph.

        It is built where the index's folder has none of the index as it is, block by block; a build that was killed goes on. Any change of
        the index removes it; one that is open stays what it was, so take it and a scorer from the same index. pyterrier-adaptive and
        pyterrier_dr take it, and ``pipelines.adaptive``.

        Args:
            k: neighbours of a document, at most 1,000.
            backend: how they are found: ``"exact"``, ``"tuned"`` or a family of Faiss indexes; see ``searcher``.
            device: where exact search computes.
            verbose: show progress while it is built.
            told: is told the progress, in documents.

        Returns:
            A ``pyterrier_adaptive.NpTopKCorpusGraph``; its numbers are the places of documents, in their order, without deleted ones.

        Raises:
            MissingDependencyError: pyterrier-adaptive is not installed: extra ``adaptive``.
            UsageError: k is out of bounds, or there is no such backend, or it is a cluster.
            IndexingError: there is no graph, and none can be built: the index has changed since it was opened, holds no documents, cannot
                be written, or has not been tuned.
            DamagedIndexError: the graph's files are damaged.
        """
        return graph_of(self, k, backend=backend, device=device, verbose=verbose, told=told)

    def search(  # type: ignore[override]  # PyTerrier's takes one query
        self, query: str | Sequence[str] | pd.DataFrame, k: int = 10, *, model: DenseEncoder | None = None, **options: Any
    ) -> pd.DataFrame:
        """The best documents for a query, or for each of several.

        Args:
            query: a text; several texts, whose qids are ``"1"``, ``"2"``, …; or a frame with ``qid`` and ``query`` or ``query_vec``.
            k: documents a query.
            model: encodes the queries; by default the index opens its own, once.
            **options: of ``DenseRetriever``.

        Returns:
            The columns of the queries, ``docno``, ``score`` and ``rank``, best first.
        """
        if not isinstance(query, pd.DataFrame):
            texts = [query] if isinstance(query, str) else query
            query = queries_frame((str(number), text) for number, text in enumerate(texts, start=1))
        return self.retriever(model, k, **options).transform(query)

    def _hf_readme(
        self, *, repo: str, branch: str | None = "main", pretty_name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> str:
        place = repo if branch in {None, "main"} else f"{repo}@{branch}"
        artifact = (self.ARTIFACT_TYPE, self.ARTIFACT_FORMAT)
        return readme(self._opened, artifact, place, pretty_name or repo.rpartition("/")[2], metadata or {})

    def _package_files(self) -> Iterator[tuple[str, Any]]:
        """The files that ``to_hf`` and similar methods pack: neither locks nor temporary files of killed processes."""
        for name, file in super()._package_files():
            if not name.endswith("lock") and TEMPORARY not in name and ".building/" not in name:
                yield name, file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnceIndex) and other.folder.resolve() == self.folder.resolve()

    def __hash__(self) -> int:
        return hash(str(self.folder.resolve()))

    def __getstate__(self) -> dict[str, Any]:
        folder = self.folder.absolute()  # wherever it is unpickled
        return {"path": folder, "folder": folder, "dtype": self.dtype, "overwrite": self.overwrite}
