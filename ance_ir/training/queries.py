"""Training queries with their positives, and what must never be a negative of theirs."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.ids import clean_queries
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.errors import TrainingError

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingQueries:
    """Queries that have a relevant document in the corpus; documents are named by their number in the store.

    Attributes:
        qids: ``[Q]``.
        texts: ``[Q]``.
        positives: for each query its relevant documents, int64, ascending.
        excluded: for each query its positives and the documents with the same text as one of them, int64, ascending.
        documents: how many documents the corpus has.
    """

    qids: list[str]
    texts: list[str]
    positives: list[np.ndarray]
    excluded: list[np.ndarray]
    documents: int

    def __len__(self) -> int:
        return len(self.qids)

    @classmethod
    def load(cls, dataset: Dataset, store: DocumentStore, split: str = "train") -> TrainingQueries:
        """The queries of a split, in their order in the dataset.

        Judgements above 0 are positives. Queries without a positive in the corpus are left out, and counted in the log.

        Raises:
            TrainingError: no query is left.
        """
        queries = clean_queries(dataset.queries(split), f"the training queries of {dataset.name}", error=TrainingError)
        qrels = clean_qrels(dataset.qrels(split), f"the judgements of {dataset.name}", error=TrainingError)
        qrels = qrels[qrels["label"] > 0]
        numbers = store.numbers(list(qrels["docno"]))
        relevant: dict[str, list[int]] = {}
        for qid, number in zip(qrels["qid"], numbers, strict=True):
            if number >= 0:
                relevant.setdefault(qid, []).append(int(number))
        kept = queries[queries["qid"].isin(relevant.keys())]
        if kept.empty:
            raise TrainingError(f"{dataset.name}, split {split!r}: none of {len(queries)} queries has a relevant document in the corpus")
        if len(kept) < len(queries):
            logger.info("%d of %d training queries have no relevant document in the corpus", len(queries) - len(kept), len(queries))
        positives = [np.unique(np.array(relevant[qid], dtype=np.int64)) for qid in kept["qid"]]
        duplicates = _Duplicates(store.text_hashes)
        excluded = [duplicates.of(documents) for documents in positives]
        return cls(qids=list(kept["qid"]), texts=list(kept["query"]), positives=positives, excluded=excluded, documents=len(store))


class _Duplicates:
    """Finds documents with equal texts by their hashes, ``[N]`` uint64."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._hashes = hashes
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    def of(self, documents: np.ndarray) -> np.ndarray:
        """The documents and their duplicates, ascending."""
        wanted = self._hashes[documents]
        starts, ends = np.searchsorted(self._sorted, wanted, "left"), np.searchsorted(self._sorted, wanted, "right")
        return np.unique(np.concatenate([self._order[start:end] for start, end in zip(starts, ends, strict=True)]))
