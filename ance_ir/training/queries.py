"""Training queries with their positives, and what must never be a negative of theirs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Hashable, Sequence

import numpy as np

from ance_ir.datasets import Dataset, DocumentStore, counts_itself
from ance_ir.datasets.ids import clean_queries
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.datasets.store.docnos import hash_text
from ance_ir.errors import TrainingError, UsageError
from ance_ir.notices import examples

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuerySet:
    """One of the training sets of a run.

    Attributes:
        queries: numbers of its queries.
        documents: numbers of the documents of its corpus.
        weight: how often batches come from it, in proportion to the other sets' weights.
    """

    queries: range
    documents: range
    weight: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingQueries:
    """Queries that have a relevant document in the corpus; documents are named by their number in the store.

    Those of several training sets lie one set after the other, and so do the documents of several corpora (``joined``). Where several
    queries of one corpus ask the same question, in one set or in two, what one of them excludes is excluded in all.

    Attributes:
        qids: ``[Q]``.
        texts: ``[Q]``.
        positives: for each query its relevant documents, int64, ascending.
        excluded: for each query its positives and the documents with the same text as one of them, int64, ascending; in BEIR's
            collections the document whose docno is the qid, too.
        documents: how many documents the corpus has, or all of several.
        candidates: for each query the only documents that may be drawn as its negatives, int64, ascending, none of them excluded; ``None``:
            all documents of its corpus that are not excluded.
        sets: the training sets; none where there is only one.
    """

    qids: list[str]
    texts: list[str]
    positives: list[np.ndarray]
    excluded: list[np.ndarray]
    documents: int
    candidates: list[np.ndarray] | None = None
    sets: tuple[QuerySet, ...] = ()

    def __len__(self) -> int:
        return len(self.qids)

    def __repr__(self) -> str:
        return f"TrainingQueries({len(self)} queries, {self.documents} documents)"

    @classmethod
    def joined(cls, parts: Sequence[TrainingQueries], firsts: Sequence[int], weights: Sequence[float] | None = None) -> TrainingQueries:
        """The queries of several training sets, each of one corpus; those of a single set are returned as they are.

        Args:
            parts: the queries of each set; two sets may have the same qids.
            firsts: the number of the first document of each set's corpus.
            weights: of the sets, above 0; by default in proportion to their queries.

        Raises:
            UsageError: not as many weights as sets, or one that is not above 0.
        """
        weights = [float(len(part)) for part in parts] if weights is None else weights
        if len(weights) != len(parts) or not all(0 < weight < float("inf") for weight in weights):
            shown = ", ".join(f"{weight:g}" for weight in weights)
            raise UsageError(f"a weight above 0 was expected for each of {len(parts)} training sets, not {shown}")
        if len(parts) == 1 and not firsts[0]:
            return parts[0]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        sets = [
            QuerySet(queries=range(end - len(part), end), documents=range(first, first + part.documents), weight=weight)
            for part, end, first, weight in zip(parts, ends, firsts, weights, strict=True)
        ]

        def shifted(name: str) -> list[np.ndarray]:
            return [documents + first for part, first in zip(parts, firsts, strict=True) for documents in getattr(part, name)]

        texts = [text for part in parts for text in part.texts]
        asked = [(first, text) for part, first in zip(parts, firsts, strict=True) for text in part.texts]
        return cls(
            qids=[qid for part in parts for qid in part.qids],
            texts=texts,
            positives=shifted("positives"),
            excluded=_united(shifted("excluded"), asked),
            documents=max(one.documents.stop for one in sets),
            sets=tuple(sets),
        )

    def of_corpus(self, documents: range) -> tuple[np.ndarray, TrainingQueries]:
        """The queries of a corpus: their numbers, int64, and themselves, as one set whose documents are numbered within the corpus."""
        found = np.concatenate([np.arange(one.queries.start, one.queries.stop) for one in self.parts if one.documents == documents])
        own = self.rows(found.tolist())
        return found, dataclasses.replace(
            own,
            positives=[positives - documents.start for positives in own.positives],
            excluded=[excluded - documents.start for excluded in own.excluded],
            documents=len(documents),
        )

    def rows(self, rows: Sequence[int]) -> TrainingQueries:
        """Some of the queries, as one set."""
        return TrainingQueries(
            qids=[self.qids[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            positives=[self.positives[row] for row in rows],
            excluded=[self.excluded[row] for row in rows],
            documents=self.documents,
        )

    @property
    def parts(self) -> tuple[QuerySet, ...]:
        """The training sets, also where there is only one."""
        return self.sets or (QuerySet(queries=range(len(self)), documents=range(self.documents), weight=1.0),)

    def corpus_of(self, query: int) -> range:
        """The numbers of the documents of a query's corpus."""
        return next(one.documents for one in self.parts if query in one.queries)

    def allows(self, query: int, documents: np.ndarray) -> np.ndarray:
        """Which of some documents may be drawn as negatives of a query, bool."""
        if self.candidates is not None:
            return np.isin(documents, self.candidates[query])
        return ~np.isin(documents, self.excluded[query])

    @property
    def drawn_else(self) -> str:
        """What negatives are drawn from where a source has no candidates for a query, for warnings."""
        return "the whole corpus" if self.candidates is None else "all documents that have a score"

    def restricted(self, candidates: Sequence[np.ndarray], name: str) -> TrainingQueries:
        """The same queries, whose negatives are drawn from some documents alone.

        Args:
            candidates: for each query document numbers, int64, ascending.
            name: where they come from, for the error.

        Raises:
            TrainingError: for a query there is none that is not excluded.
        """
        left = [found[~np.isin(found, excluded)] for found, excluded in zip(candidates, self.excluded, strict=True)]
        if without := [qid for qid, found in zip(self.qids, left, strict=True) if not len(found)]:
            raise TrainingError(
                f"{name}: {len(without)} of {len(self)} training queries ({examples(without)}) have no score of a document that could be "
                "their negative; score some, or name a teacher as well, which is then asked for these"
            )
        return dataclasses.replace(self, candidates=left)

    @classmethod
    def load(cls, dataset: Dataset, store: DocumentStore, split: str = "train") -> TrainingQueries:
        """The queries of a split, in their order in the dataset.

        Judgements above 0 are positives. Queries without a positive in the corpus are left out, which is warned of, as are relevant
        documents that are not in the corpus, judged queries that the split lacks, and empty texts.

        Raises:
            TrainingError: no query is left.
        """
        queries = clean_queries(dataset.queries(split), f"the training queries of {dataset.name}", error=TrainingError)
        qrels = clean_qrels(dataset.qrels(split), f"the judgements of {dataset.name}", error=TrainingError)
        qrels = qrels[qrels["label"] > 0]
        numbers = store.numbers(list(qrels["docno"]))
        _warn("relevant documents of split %s are not in the corpus", split, qrels["docno"][numbers < 0].unique(), qrels["docno"].nunique())
        unasked = qrels["qid"][~qrels["qid"].isin(queries["qid"])].unique()
        _warn("queries with relevant documents are not among those of split %s", split, unasked, qrels["qid"].nunique())
        relevant: dict[str, list[int]] = {}
        for qid, number in zip(qrels["qid"], numbers, strict=True):
            if number >= 0:
                relevant.setdefault(qid, []).append(int(number))
        kept = queries[queries["qid"].isin(relevant.keys())]
        if kept.empty:
            raise TrainingError(f"{dataset.name}, split {split!r}: none of {len(queries)} queries has a relevant document in the corpus")
        without = queries["qid"][~queries["qid"].isin(kept["qid"])]
        _warn("queries of split %s have no relevant document in the corpus and are left out", split, without, len(queries))
        _warn("training queries of split %s are empty", split, kept["qid"][kept["query"].str.strip() == ""], len(kept))
        positives = [np.unique(np.array(relevant[qid], dtype=np.int64)) for qid in kept["qid"]]
        duplicates = _Duplicates(store.text_hashes)
        empty = store.text_hashes == hash_text("")
        blank = [qid for qid, documents in zip(kept["qid"], positives, strict=True) if empty[documents].all()] if empty.any() else []
        _warn("training queries of split %s have relevant documents without a text alone", split, blank, len(kept))
        excluded = [duplicates.of(documents) for documents in positives]
        if not counts_itself(dataset.name):  # queries that are documents: their own is no answer, and no negative either
            itself = store.numbers(list(kept["qid"]))
            excluded = [np.union1d(documents, own[own >= 0]) for documents, own in zip(excluded, itself[:, None], strict=True)]
        texts = list(kept["query"])
        return cls(qids=list(kept["qid"]), texts=texts, positives=positives, excluded=_united(excluded, texts), documents=len(store))


def _united(excluded: list[np.ndarray], asked: Sequence[Hashable]) -> list[np.ndarray]:
    """What each query excludes, with what those exclude that ask the same."""
    rows: dict[Hashable, list[int]] = {}
    for row, key in enumerate(asked):
        rows.setdefault(key, []).append(row)
    united = list(excluded)
    for alike in rows.values():
        if len(alike) > 1:
            documents = np.unique(np.concatenate([excluded[row] for row in alike]))
            for row in alike:
                united[row] = documents
    return united


def _warn(what: str, split: str, found: Collection[str], total: int) -> None:
    """Warn of what was found, if anything was."""
    if len(found):
        logger.warning("%d of %d %s (%s)", len(found), total, what % repr(split), examples(found))


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
