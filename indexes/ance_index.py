"""The dense index: vectors, docnos and the manifest that says how they were made, in one folder.

``manifest.json`` is written last and is the only sign that the index is complete::

    x.ance/manifest.json          encoding, dimension, dtype, counts, shards with checksums
    x.ance/pt_meta.json           type and format, for PyTerrier
    x.ance/vectors-00000.npy …    float16 or float32 [rows, D]
    x.ance/docnos                 npids lookup
    x.ance/docno_order.npy        int64 [documents]; of two documents with equal scores the one with the smaller number comes first
    x.ance/offsets.npy            int64 [documents + 1]; the rows of document i; only where documents were cut into passages
    x.ance/faiss-flat.index       only once asked for
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import npids
import numpy as np
import pyterrier as pt

from ance_ir.errors import DamagedIndexError, FingerprintError, IndexingError, UsageError
from ance_ir.files import atomic_folder, read_json, write_json
from ance_ir.indexes.docnos import DocnoWriter, docno_order
from ance_ir.indexes.documents import search_documents
from ance_ir.indexes.exact import MEMORY_BUDGET, ExactSearcher
from ance_ir.indexes.search import Searcher
from ance_ir.indexes.vectors import VectorStore, VectorType, VectorWriter
from ance_ir.models import DenseEncoder, Encoding
from ance_ir.models.batching import chunks

if TYPE_CHECKING:
    from ance_ir.indexes.retriever import DenseRetriever, DenseScorer

FORMAT = 1
_APPEND = 4096

Backend = Literal["exact", "faiss"]


class AnceIndex(pt.Artifact, pt.Indexer):  # type: ignore[misc]
    """A dense index on disk; an indexer at the end of a pipeline, then a factory of retrievers.

    Args:
        path: its folder.
        dtype: how vectors are stored, when it is built.
        overwrite: whether ``index`` may take the place of an index that is there.
    """

    ARTIFACT_TYPE = "dense_index"
    ARTIFACT_FORMAT = "ance_ir"
    ARTIFACT_PACKAGE_HINT = "ance_ir"
    schematic = {"label": "ANCE index"}

    def __init__(self, path: Path | str, *, dtype: VectorType = "float32", overwrite: bool = False) -> None:
        super().__init__(Path(path))
        self.dtype = dtype
        self.overwrite = overwrite

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs."""
        return [["docno", "doc_vec"]]

    def index(self, iter: Iterable[dict[str, Any]], **_: Any) -> AnceIndex:
        """Build the index from a stream of ``docno`` and ``doc_vec``; whole or not at all.

        With an ``encoding`` (from ``model.passages()``) the model's fingerprint is kept, and the passages of a document, which follow one
        another, belong together.

        Raises:
            IndexingError: there is an index at the path, a docno comes twice, or a vector is not finite.
        """
        if self.built() and not self.overwrite:
            raise IndexingError(f"{self.path} holds an index already; choose another path, or overwrite=True")
        with atomic_folder(self.path) as folder:
            writer = VectorWriter(folder, self.dtype)
            encoding: Encoding | None = None
            with DocnoWriter(folder) as documents:
                for rows in chunks(iter, _APPEND):
                    encoding = _same_encoding(encoding, rows)
                    documents.append([str(row["docno"]) for row in rows], passages=encoding is not None and encoding.passages is not None)
                    writer.append(np.stack([row["doc_vec"] for row in rows]))
            if not documents.count:
                raise IndexingError("there was no document to index")
            np.save(folder / "docno_order.npy", docno_order(folder / "docnos"), allow_pickle=False)
            write_json(folder / "pt_meta.json", self._build_metadata())
            manifest = {
                "format": FORMAT,
                "encoding": asdict(encoding) if encoding else None,
                "documents": documents.count,
                "most_passages": documents.most_passages,
                **writer.finish(),
            }
            write_json(folder / "manifest.json", manifest)
        self._forget()
        return self

    def _forget(self) -> None:
        for name in ("manifest", "store", "_docnos", "_docno_order", "_offsets"):
            self.__dict__.pop(name, None)

    def built(self) -> bool:
        """Whether a complete index is there."""
        return bool((self.path / "manifest.json").exists())

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the index says of itself."""
        if not self.path.is_dir():
            raise IndexingError(f"{self.path}: there is no index; build one with `ance-ir index` or AnceIndex(path).index(...)")
        if not self.built():
            raise DamagedIndexError(f"{self.path}: no manifest.json, so this is no complete index; build it again")
        try:
            manifest: dict[str, Any] = read_json(self.path / "manifest.json")
        except ValueError as error:
            raise DamagedIndexError(f"{self.path / 'manifest.json'}: expected JSON, {error}") from error
        if manifest.get("format") != FORMAT:
            raise DamagedIndexError(f"{self.path}: format {manifest.get('format')!r} is not {FORMAT}; build it again")
        return manifest

    @cached_property
    def store(self) -> VectorStore:
        """The vectors."""
        return VectorStore(self.path, self.manifest)

    @cached_property
    def _docnos(self) -> npids.Lookup:
        return npids.Lookup(self.path / "docnos")

    @cached_property
    def _docno_order(self) -> np.ndarray:
        return self._array("docno_order.npy")

    @cached_property
    def _offsets(self) -> np.ndarray | None:
        return self._array("offsets.npy") if self.manifest["most_passages"] > 0 else None

    def _array(self, name: str) -> np.ndarray:
        try:
            array: np.ndarray = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DamagedIndexError(f"{self.path / name} cannot be read ({error}); build the index again") from error
        return array

    def __len__(self) -> int:
        return int(self.manifest["documents"])

    def docnos(self, numbers: np.ndarray) -> np.ndarray:
        """Docnos of document numbers, as an array of ``str`` objects."""
        found: np.ndarray = self._docnos.fwd[np.asarray(numbers, dtype=np.int64)].astype(object)
        return found

    def numbers(self, docnos: Iterable[str]) -> np.ndarray:
        """Document numbers of docnos, int64, −1 for those that the index does not hold."""
        asked = np.array([str(docno) for docno in docnos], dtype=str)
        if not len(asked):
            return np.zeros(0, dtype=np.int64)
        numbers = np.asarray(self._docnos.inv[asked], dtype=np.int64)
        # the lookup hashes: what it finds is checked
        return np.where((numbers >= 0) & (self.docnos(np.maximum(numbers, 0)) == asked.astype(object)), numbers, -1)

    def _tie_order(self, rows: np.ndarray) -> np.ndarray:
        if self._offsets is None:
            return np.asarray(self._docno_order[rows])
        documents = np.searchsorted(self._offsets, rows, side="right") - 1
        order: np.ndarray = self._docno_order[documents] * self.manifest["most_passages"] + (rows - self._offsets[documents])
        return order

    def searcher(self, backend: Backend = "exact", *, memory_budget: int = MEMORY_BUDGET, device: str = "cpu") -> Searcher:
        """Something that searches the index's rows: ``"exact"``, or ``"faiss"`` (a flat Faiss index, built when first asked for)."""
        if backend == "exact":
            return ExactSearcher(self.store, self._tie_order, memory_budget=memory_budget, device=device)
        if backend != "faiss":
            raise UsageError(f"the backends are exact and faiss, not {backend!r}")
        from ance_ir.indexes.faiss_flat import FaissSearcher, build_flat

        path = self.path / "faiss-flat.index"
        if not path.exists():
            build_flat(self.store, path)
        return FaissSearcher(path, self.store, self._tie_order)

    def search(self, queries_QD: np.ndarray, k: int, searcher: Searcher | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The best ``K = min(k, len(self))`` documents of each query vector.

        Args:
            queries_QD: float32 ``[Q, D]``.
            k: at least 1.
            searcher: from ``self.searcher``; exact by default.

        Returns:
            float32 scores and int64 document numbers, both ``[Q, K]``, best first, ties by docno.
        """
        if k < 1:
            raise UsageError(f"at least 1 document is to be found, not {k}")
        if queries_QD.shape[1] != self.store.dimension:
            raise IndexingError(f"{self.path} holds vectors of {self.store.dimension} dimensions, the queries have {queries_QD.shape[1]}")
        searcher = searcher or self.searcher()
        if self._offsets is None:
            return searcher.search(queries_QD, k)
        return search_documents(searcher, queries_QD, k, self._offsets)

    def document_scores(self, queries_ND: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Scores of pairs of a query vector, ``[N, D]``, and a document, int64 ``[N]``: the best of its passages, float32 ``[N]``."""
        scores = np.empty(len(numbers), dtype=np.float32)
        most = max(1, int(self.manifest["most_passages"]))
        step = max(1, (16 << 20) // (self.store.dimension * most))
        for start in range(0, len(numbers), step):
            part = slice(start, start + step)
            first, counts = self._rows(numbers[part])
            begins = np.cumsum(counts) - counts
            rows = np.repeat(first - begins, counts) + np.arange(counts.sum())
            pairs = np.repeat(np.arange(len(counts)), counts)
            products = np.einsum("nd,nd->n", self.store.get(rows).astype(np.float64), queries_ND[part].astype(np.float64)[pairs])
            scores[part] = np.maximum.reduceat(products, begins)
        return scores

    def _rows(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._offsets is None:
            return numbers, np.ones(len(numbers), dtype=np.int64)
        return self._offsets[numbers], self._offsets[numbers + 1] - self._offsets[numbers]

    def check_model(self, model: DenseEncoder) -> None:
        """Refuse a model that is not the one the index was built with.

        Raises:
            FingerprintError: says which model is expected.
        """
        encoding = self.manifest["encoding"]
        if model.dimension != self.store.dimension:
            raise FingerprintError(f"{self.path} holds vectors of {self.store.dimension} dimensions, {model.name} makes {model.dimension}")
        if encoding and encoding["fingerprint"] != (fingerprint := model.fingerprint()):
            raise FingerprintError(
                f"{self.path} was built with {encoding['model']} ({encoding['fingerprint'][:12]}), not with {model.name} ({fingerprint[:12]}); "
                "use the same model and text settings, or check=False to search all the same"
            )

    def retriever(self, model: DenseEncoder, num_results: int = 1000, **options: Any) -> DenseRetriever:
        """A PyTerrier retriever: queries to the index's best documents; see ``DenseRetriever``."""
        from ance_ir.indexes.retriever import DenseRetriever

        return DenseRetriever(self, model, num_results, **options)

    def scorer(self, model: DenseEncoder, **options: Any) -> DenseScorer:
        """A PyTerrier re-ranker: scores the documents that it is given; see ``DenseScorer``."""
        from ance_ir.indexes.retriever import DenseScorer

        return DenseScorer(self, model, **options)

    def __repr__(self) -> str:
        return f"AnceIndex({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnceIndex) and other.path.resolve() == self.path.resolve()

    def __hash__(self) -> int:
        return hash(str(self.path.resolve()))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "dtype": self.dtype, "overwrite": self.overwrite}


def _same_encoding(encoding: Encoding | None, rows: list[dict[str, Any]]) -> Encoding | None:
    """The encoding of all rows.

    Raises:
        IndexingError: they were encoded in different ways.
    """
    for row in rows:
        found = row.get("encoding")
        if encoding is None:
            encoding = found
        elif found != encoding:
            raise IndexingError(f"document {row['docno']} was encoded by {found}, those before it by {encoding}")
    return encoding


def index_documents(path: Path | str, model: DenseEncoder, documents: Iterable[dict[str, Any]], passages: Any, **options: Any) -> AnceIndex:
    """Cut, encode and index documents: ``passages >> model.passages() >> AnceIndex(path)`` as one call.

    Args:
        path: the index's folder.
        model: the encoder.
        documents: dictionaries with ``docno`` and ``text`` (``title``, ``url``).
        passages: a passage scheme.
        **options: of ``AnceIndex``.
    """
    index: AnceIndex = (passages >> model.passages() >> AnceIndex(path, **options)).index(iter(documents))
    return index
