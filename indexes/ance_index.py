"""The dense index: vectors, docnos and the manifest that says how they were made, in one folder.

``manifest.json`` is written last and is the only sign that the index is complete::

    x.ance/manifest.json          encoding, dimension, dtype, counts, shards, checksums of all files
    x.ance/pt_meta.json           type and format, for PyTerrier
    x.ance/vectors-00000.npy …    float16 or float32 [rows, D]
    x.ance/docnos/                docno to number and back
    x.ance/tie_order.npy          int64 [documents]; of two documents with equal scores the one with the smaller number comes first
    x.ance/offsets.npy            int64 [documents + 1]; the rows of document i; only where documents were cut into passages
    x.ance/text_hashes.npy        uint64 [documents]; of their titles and texts; only where these were known
    x.ance/faiss-00000/           Faiss files, only once asked for; see ``ann.build``
    x.ance/search.json            what the tuner chose; see ``ann.settings``

What a change of the index adds is said in ``updates``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyterrier as pt

from ance_ir.datasets import DocnoMap
from ance_ir.errors import DocumentNotFoundError, FingerprintError, IndexingError, UsageError
from ance_ir.files import TEMPORARY, as_path, write_json
from ance_ir.indexes.ann.settings import TUNED, resolve
from ance_ir.indexes.card import describe, readme
from ance_ir.indexes.search.aggregation import MAX, Aggregation, First, score_pairs
from ance_ir.indexes.search.documents import search_documents
from ance_ir.indexes.search.exact import MEMORY_BUDGET, ExactSearcher
from ance_ir.indexes.search.searcher import VectorSearcher
from ance_ir.indexes.store import updates
from ance_ir.indexes.store.build import IndexBuild
from ance_ir.indexes.store.snapshot import Snapshot, faiss_folder, write_manifest
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import VectorStore, VectorType, VectorWriter
from ance_ir.models import DenseEncoder, TextSettings
from ance_ir.models.text.settings import OPENING

if TYPE_CHECKING:
    from ance_ir.indexes.ann.build import FaissFile
    from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
    from ance_ir.models.compute.precision import Precision


class AnceIndex(pt.Artifact, pt.Indexer):
    """A dense index on disk; an indexer at the end of a pipeline, then a factory of retrievers.

    Args:
        path: its folder.
        dtype: how vectors are stored, when it is built.
        overwrite: whether ``index`` may take the place of an index that is there.
    """

    ARTIFACT_TYPE = "dense_index"
    ARTIFACT_FORMAT = "ance_ir"
    ARTIFACT_PACKAGE_HINT = "ance_ir"
    schematic: ClassVar[dict[str, str | None]] = {"label": "ANCE index", "help_url": None}

    def __init__(self, path: Path | str, *, dtype: VectorType = "float32", overwrite: bool = False) -> None:
        super().__init__(as_path(path))
        self.folder = as_path(path)
        self.dtype = dtype
        self.overwrite = overwrite

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs."""
        return [["docno", "doc_vec"]]

    def index(self, iter: Iterable[dict[str, Any]]) -> AnceIndex:  # type: ignore[override]  # no keyword is swallowed
        """Build the index from a stream of ``docno`` and ``doc_vec``; whole or not at all.

        With an ``encoding`` (from ``model.passages()``) the model's fingerprint is kept, and the passages of a document, which follow one
        another, belong together.

        Raises:
            IndexingError: there is an index at the path, or a vector is not finite or of another dimension.
            UsageError: there is something else at the path.
            DatasetError: a docno comes twice.
        """
        if not self.overwrite and self.built():
            raise IndexingError(f"{self.folder} holds an index already; choose another path, or overwrite=True")
        with updates.new_index(self.folder) as folder:
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
        """Add documents from a stream as ``index`` takes it; all of them or none. Who has the index open keeps what it has.

        Args:
            iter: of ``docno`` and ``doc_vec``, and ``encoding`` where the index has one: ``(passages >> model.passages())(documents)``.
            replace: documents that are there already are replaced; otherwise they are refused.

        Raises:
            FingerprintError: rows of another model, or cut in another way.
            IndexingError: no rows, or a vector is not finite or of another dimension.
            DatasetError: a docno comes twice, or is there already.
        """
        updates.add(self.folder, iter, replace=replace)
        self.reopen()
        return self

    def delete(self, docnos: Iterable[str], *, missing: bool = False) -> int:
        """Delete documents, all of them or none: they are not found any more, and ``compact`` frees their space.

        Args:
            docnos: of the documents.
            missing: leave out docnos that the index does not hold; otherwise they are refused.

        Returns:
            How many were deleted.

        Raises:
            DocumentNotFoundError: docnos that the index does not hold.
        """
        count = updates.delete(self.folder, docnos, missing=missing)
        self.reopen()
        return count

    def compact(self) -> AnceIndex:
        """Write the index anew without its deleted documents, in full shards; Faiss files are built again when they are next asked for.

        Raises:
            IndexingError: no document is left.
            DamagedIndexError: a file was altered.
        """
        updates.compact(self.folder)
        self.reopen()
        return self

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            DamagedIndexError: names the files that were altered.
        """
        self._opened.verify()

    def save(self, path: Path | str) -> AnceIndex:
        """Copy the index to another folder, whole or not at all.

        Raises:
            IndexingError: there is an index at the path.
            UsageError: there is something else.
        """
        copy = AnceIndex(path, dtype=self.dtype)
        if copy.built():
            raise IndexingError(f"{copy.folder} holds an index already; choose another path")
        with updates.changing(self.folder), updates.new_index(copy.folder) as folder:
            for name, file in self._package_files():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name)
        return copy

    def reopen(self) -> None:
        """See what other processes have made of the index since it was opened."""
        for name in ("_opened", "_faiss"):
            self.__dict__.pop(name, None)

    def built(self) -> bool:
        """Whether a complete index is there."""
        return bool((self.folder / "manifest.json").exists())

    @cached_property
    def _opened(self) -> Snapshot:
        return Snapshot.open(self.folder)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the index says of itself."""
        return self._opened.manifest

    @property
    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of what the index holds, how it was made, and what its tuning chose; the manifest has checksums."""
        tuned = self.folder / TUNED
        told = [self.manifest, tuned.read_text(encoding="utf-8") if tuned.exists() else None]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def vectors(self) -> VectorStore:
        """The vectors, those of deleted documents too."""
        return self._opened.vectors

    @property
    def store(self) -> VectorStore:
        """The old name of ``vectors``."""
        warnings.warn("AnceIndex.store is now AnceIndex.vectors; the old name goes with the next release", FutureWarning, stacklevel=2)
        return self.vectors

    @property
    def table(self) -> DocumentTable:
        """The documents, deleted ones too."""
        return self._opened.table

    def __len__(self) -> int:
        return self.table.live

    def docnos(self, numbers: np.ndarray) -> np.ndarray:
        """Docnos of document numbers, as an array of ``str`` objects."""
        return self.table.docnos(numbers)

    def numbers(self, docnos: Sequence[str]) -> np.ndarray:
        """Document numbers of docnos, int64, −1 for those that the index does not hold."""
        return self.table.numbers(docnos)

    def passage_vectors(self, docno: str) -> np.ndarray:
        """The vectors of a document's passages, in their order, float32 ``[P, D]``.

        Raises:
            DocumentNotFoundError: the index does not hold the document.
        """
        number = self.numbers([docno])
        if number[0] < 0:
            raise DocumentNotFoundError(f"{self.folder} does not hold the document {docno!r}")
        first, count = self.table.rows(number)
        return self.vectors.get(first + np.arange(count[0]))

    def searcher(
        self, backend: str = "exact", *, first_passages: bool = False, memory_budget: int = MEMORY_BUDGET, device: str = "cpu"
    ) -> VectorSearcher:
        """Something that searches the index's rows.

        Args:
            backend: ``"exact"``, ``"tuned"``, or a family of Faiss indexes and its options; see ``indexes.ann.settings``. The Faiss index
                is built when it is first asked for.
            first_passages: find only the first passage of each document.
            memory_budget: of exact search; see ``ExactSearcher``.
            device: where to compute; Faiss uses a GPU where the one that is installed can.

        Raises:
            UsageError: the backend is none.
            IndexingError: it is ``"tuned"`` and the index has not been tuned; or there are too few vectors to train the family.
        """
        settings = resolve(self.folder, backend)
        searchable = self.table.first_passages if first_passages else self.table.searchable
        if settings is None:
            return ExactSearcher(self.vectors, self.table.tie_order, searchable=searchable, memory_budget=memory_budget, device=device)
        from ance_ir.indexes.ann.build import open_faiss
        from ance_ir.indexes.ann.searcher import FaissSearcher

        key = (settings.slug, device)
        if key not in self._faiss:
            self._faiss[key] = open_faiss(self.vectors, self.folder / faiss_folder(self.manifest), settings, device=device)
        return FaissSearcher(self._faiss[key], self.vectors, self.table.tie_order, settings, searchable)

    @cached_property
    def _faiss(self) -> dict[tuple[str, str], FaissFile]:
        """Faiss indexes that were read, by family and device."""
        return {}

    def search_vectors(
        self, queries_QD: np.ndarray, k: int, searcher: VectorSearcher | None = None, aggregation: Aggregation = MAX
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best ``K = min(k, len(self))`` documents of each query vector.

        Args:
            queries_QD: float32 ``[Q, D]``.
            k: at least 1.
            searcher: from ``self.searcher``; exact by default.
            aggregation: how the passages of a document make its score.

        Returns:
            float32 scores and int64 document numbers, both ``[Q, K]``, best first, ties by docno; an approximate searcher that finds fewer
            documents pads with −inf and −1.
        """
        if k < 1:
            raise UsageError(f"at least 1 document is to be found, not {k}")
        self._check_queries(queries_QD)
        searcher = searcher or self.searcher(first_passages=isinstance(aggregation, First))
        if searcher.store is not self.vectors:
            raise UsageError(f"the searcher is of another index, or of {self.folder} before it changed; ask the index for one")
        table, k = self.table, min(k, len(self))
        if table.offsets is None or len(table) == len(self.vectors):  # a row is a document
            return searcher.search(queries_QD, k)
        return search_documents(searcher, queries_QD, k, table.offsets, aggregation, self.vectors, table.tie_order)

    def _check_queries(self, queries_QD: np.ndarray) -> None:
        if not isinstance(queries_QD, np.ndarray) or queries_QD.ndim != 2:
            found = f"one of {queries_QD.ndim} axes" if isinstance(queries_QD, np.ndarray) else f"{type(queries_QD).__name__}"
            raise IndexingError(f"query vectors are an array [Q, {self.vectors.dimension}], not {found}")
        if queries_QD.shape[1] != self.vectors.dimension:
            raise IndexingError(
                f"{self.folder} holds vectors of {self.vectors.dimension} dimensions, the queries have {queries_QD.shape[1]}"
            )
        refused = np.flatnonzero(~np.isfinite(queries_QD).all(axis=1))
        if len(refused):
            raise UsageError(f"query vector {refused[0]} has values that are not finite ({len(refused)} of {len(queries_QD)} have)")

    def document_scores(self, queries_ND: np.ndarray, numbers: np.ndarray, aggregation: Aggregation = MAX) -> np.ndarray:
        """Exact scores of pairs of a query vector, ``[N, D]``, and a document, int64 ``[N]``; float32 ``[N]``."""
        self._check_queries(queries_ND)
        first, counts = self.table.rows(numbers)
        return score_pairs(self.vectors, queries_ND, np.arange(len(numbers)), first, counts, aggregation)

    def model(self, name: str | None = None, device: str | None = None, precision: Precision | None = None) -> DenseEncoder:
        """Open the model that the index was built with, under the same text settings.

        Args:
            name: where it is now, if it has moved.
            device: where to put it.
            precision: what to compute in, for queries as for passages that the index lacks; by default the checkpoint's own, whatever the
                passages were encoded in.

        Raises:
            IndexingError: the index does not say which model made it.
            FingerprintError: the model there is another one.
        """
        encoding = self.manifest["encoding"]
        if encoding is None:
            raise IndexingError(f"{self.folder} was built from vectors and does not say by which model; name it: --model, or model(NAME)")
        settings = asdict(TextSettings.from_json(encoding["text"]))
        settings |= {setting: encoding[setting] for setting in OPENING if encoding.get(setting)}
        model = DenseEncoder.from_pretrained(name or encoding["model"], device=device, precision=precision, **settings)
        self.check_model(model)
        return model

    def check_model(self, model: DenseEncoder) -> None:
        """Refuse a model that is not the one the index was built with.

        Raises:
            FingerprintError: says which model is expected.
        """
        encoding = self.manifest["encoding"]
        if model.dimension != self.vectors.dimension:
            raise FingerprintError(
                f"{self.folder} holds vectors of {self.vectors.dimension} dimensions, {model.name} makes {model.dimension}"
            )
        if encoding and encoding["fingerprint"] != (fingerprint := model.fingerprint()):
            raise FingerprintError(
                f"{self.folder} was built with {encoding['model']} ({encoding['fingerprint'][:12]}), "
                f"not with {model.name} ({fingerprint[:12]}); use the same model and text settings, or check=False to search all the same"
            )

    def retriever(self, model: DenseEncoder, num_results: int = 1000, **options: Any) -> DenseRetriever:
        """A PyTerrier retriever: queries to the index's best documents; see ``DenseRetriever``."""
        from ance_ir.indexes.retriever import DenseRetriever

        return DenseRetriever(self, model, num_results, **options)

    def scorer(self, model: DenseEncoder, **options: Any) -> DenseScorer:
        """A PyTerrier re-ranker: scores the documents that it is given; see ``DenseScorer``."""
        from ance_ir.indexes.retriever import DenseScorer

        return DenseScorer(self, model, **options)

    def info(self) -> None:
        """Print what the index holds, by which model it was made, and what memory searching it needs."""
        rows = describe(self)
        width = max(map(len, rows))
        print(f"{self.folder}\n" + "\n".join(f"  {name:<{width}}  {value}" for name, value in rows.items()))  # noqa: T201

    def _hf_readme(
        self, *, repo: str, branch: str | None = "main", pretty_name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> str:
        place = repo if branch in {None, "main"} else f"{repo}@{branch}"
        return readme(self, place, pretty_name or repo.rpartition("/")[2], metadata or {})

    def _package_files(self) -> Iterator[tuple[str, Any]]:
        """What ``to_hf`` and its like pack: not the lock, nor what a killed process left."""
        for name, file in super()._package_files():
            if not name.endswith("lock") and TEMPORARY not in name:
                yield name, file

    def __repr__(self) -> str:
        return f"AnceIndex({str(self.folder)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnceIndex) and other.folder.resolve() == self.folder.resolve()

    def __hash__(self) -> int:
        return hash(str(self.folder.resolve()))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.folder, "folder": self.folder, "dtype": self.dtype, "overwrite": self.overwrite}
