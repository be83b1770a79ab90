"""An index on disk, as it is read and searched."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ance_ir.digests import digest_of
from ance_ir.errors import DocumentNotFoundError, FingerprintError, IndexingError, ModelError, UsageError
from ance_ir.indexes.ann.settings import TUNED, resolve
from ance_ir.indexes.cluster.connection import is_cluster
from ance_ir.indexes.info import IndexInfo, index_info
from ance_ir.indexes.search.aggregation import MAX, Aggregation, First, score_pairs
from ance_ir.indexes.search.device import exact_searcher
from ance_ir.indexes.search.device_vectors import DeviceVectors
from ance_ir.indexes.search.documents import search_documents
from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.indexes.search.searcher import VectorSearcher
from ance_ir.indexes.store.snapshot import MANIFEST, Snapshot, faiss_folder
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.models import DenseEncoder, Encoding, TextSettings

if TYPE_CHECKING:
    from ance_ir.indexes.ann.build import FaissFile
    from ance_ir.indexes.cluster.searcher import ClusterSearcher
    from ance_ir.models.compute.precision import Precision


class SearchableIndex:
    """Reading an index and searching it by vectors; ``AnceIndex`` adds building, changes and PyTerrier.

    Attributes:
        folder: the index's.
    """

    folder: Path
    _own_model: DenseEncoder | None = None

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            DamagedIndexError: names the files that were altered.
        """
        self._opened.verify()

    def reopen(self) -> None:
        """See the changes that other processes have made since the index was opened."""
        for name in ("_opened", "_faiss", "_held", "_clusters", "graphs"):
            self.__dict__.pop(name, None)

    def built(self) -> bool:
        """Whether there is a complete index."""
        return (self.folder / MANIFEST).exists()

    @cached_property
    def _opened(self) -> Snapshot:
        return Snapshot.open(self.folder)

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` holds."""
        return self._opened.manifest

    @property
    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of contents (by their checksums), of how they were made, and of what tuning chose."""
        tuned = self.folder / TUNED
        return digest_of([self.manifest, tuned.read_text(encoding="utf-8") if tuned.exists() else None])

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
        """A searcher of the index's rows.

        Args:
            backend: ``"exact"``, ``"tuned"``, a Ray cluster, or a family of Faiss indexes and its options; see ``indexes.ann.settings``.
                The Faiss index is built when it is first asked for; a cluster's processes hold the vectors until the index is closed.
            first_passages: find only the first passage of each document.
            memory_budget: of exact search; see ``ExactSearcher``.
            device: where to compute. A GPU keeps the vectors for as long as the opened index, if they fit (see ``DeviceVectors``); Faiss
                uses one where the Faiss that is installed can.

        Raises:
            UsageError: there is no such backend.
            MissingDependencyError: it is a cluster and Ray is not installed.
            IndexingError: it is ``"tuned"`` and the index has not been tuned; or there are too few vectors to train the family; or no
                cluster answers, or a node does not see the index.
        """
        if is_cluster(backend):
            from ance_ir.indexes.cluster.searcher import ClusterSearcher

            options: dict[str, Any] = {"first_passages": first_passages, "memory_budget": memory_budget, "device": device}
            place = (backend, *options.values())
            if place not in self._clusters:
                self._clusters[place] = ClusterSearcher(backend, self._opened, **options)
            return self._clusters[place]
        settings = resolve(self.folder, backend)
        searchable = self.table.first_passages if first_passages else self.table.searchable
        if settings is None:
            options = {"searchable": searchable, "memory_budget": memory_budget}
            return exact_searcher(self.vectors, self.table.tie_order, device=device, held=self._held, **options)
        from ance_ir.indexes.ann.build import open_faiss
        from ance_ir.indexes.ann.searcher import FaissSearcher

        key = (settings.slug, device)
        if key not in self._faiss:
            self._faiss[key] = open_faiss(self.vectors, self.folder / faiss_folder(self.manifest), settings, device=device)
        return FaissSearcher(self._faiss[key], self.vectors, self.table.tie_order, settings, searchable)

    @cached_property
    def _clusters(self) -> dict[tuple[Any, ...], ClusterSearcher]:
        """Searchers on clusters, by cluster and options."""
        return {}

    @cached_property
    def _held(self) -> dict[str, DeviceVectors]:
        """The vectors on devices other than the CPU."""
        return {}

    @cached_property
    def _faiss(self) -> dict[tuple[str, str], FaissFile]:
        """Faiss indexes that were read, by family and device."""
        return {}

    @cached_property
    def graphs(self) -> dict[tuple[int, str], Any]:
        """Corpus graphs that were opened, by neighbours and backend; see ``graph``."""
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
            raise UsageError(f"k is at least 1, not {k}")
        self._check_queries(queries_QD)
        searcher = searcher or self.searcher(first_passages=isinstance(aggregation, First))
        if searcher.store is not self.vectors:
            raise UsageError(f"the searcher belongs to another index, or to {self.folder} before it changed; call searcher() again")
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
            name: its present name or folder, if it has moved.
            device: where to put it.
            precision: of encoding queries, and passages that the index lacks; by default the checkpoint's own, even where the index's
                was another.

        Raises:
            IndexingError: the index does not say which model made it.
            FingerprintError: the model there is another one.
            ModelError: there is no model, or it does not load.
        """
        encoding = self.manifest["encoding"]
        if encoding is None:
            raise IndexingError(f"{self.folder} was built from vectors, and no model is recorded; give one: --model, or model(NAME)")
        settings = asdict(TextSettings.from_json(encoding["text"]))
        settings |= {"pooling": pooling} if (pooling := encoding.get("pooling")) else {}
        settings |= {"normalize": True} if encoding.get("similarity") == "cosine" else {"similarity": encoding.get("similarity")}
        try:
            model = DenseEncoder.from_pretrained(name or encoding["model"], device=device, precision=precision, **settings)
        except ModelError as error:
            if name:
                raise
            hint = "name its place now: --model, or model(NAME)"
            raise ModelError(f"{self.folder} was built with {encoding['model']}, which does not open ({error}); {hint}") from error
        self.check_model(model)
        return model

    def own_model(self) -> DenseEncoder:
        """The model that the index was built with, opened once; errors as of ``model``."""
        encoding = self.manifest["encoding"]
        if self._own_model is None or encoding is None or not _made_by(encoding, self._own_model):
            self._own_model = self.model()
        return self._own_model

    def check_model(self, model: DenseEncoder) -> None:
        """Refuse a model other than the one that the index was built with.

        Raises:
            FingerprintError: says which model is expected.
        """
        encoding = self.manifest["encoding"]
        if model.dimension != self.vectors.dimension:
            raise FingerprintError(
                f"{self.folder} holds vectors of {self.vectors.dimension} dimensions, {model.name} makes {model.dimension}"
            )
        if encoding and not _made_by(encoding, model):
            raise FingerprintError(
                f"{self.folder} was built with {encoding['model']} ({encoding['fingerprint'][:12]}), "
                f"not with {model.name} ({model.fingerprint()[:12]}); use the same model and text settings, or check=False to search "
                "nevertheless"
            )

    def info(self) -> IndexInfo:
        """What the index holds, by which model it was made, what memory searching it needs, and its corpus graphs; by name, as a table."""
        return index_info(self._opened)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """For notebooks: ``info``, once there is an index."""
        return self.info()._repr_html_() if self.built() else f"<code>{escape(repr(self))}</code>"


def _made_by(encoding: Mapping[str, Any], model: DenseEncoder) -> bool:
    """Whether a model makes the vectors of an index, by its manifest."""
    return Encoding.of(model, None).same_model(encoding)
