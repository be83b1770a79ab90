"""Searching an index with the training queries: the candidates of all of them, and what is reported of these.

Shapes: Q queries, B of a block, K candidates, S queries of a sample, F documents found for each, N of them that are published.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ance_ir.datasets import DocumentStore
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.ann.settings import is_exact
from ance_ir.indexes.mining.allowed import TOP, Allowed, DenseRanker
from ance_ir.indexes.mining.candidates import Candidates, without_candidates
from ance_ir.indexes.mining.filters import Filters
from ance_ir.models import DenseEncoder
from ance_ir.training import MinedNegatives, TrainingQueries

SAMPLE = 1000
"""Queries whose first documents by exact search are published too, to measure the overlap of other negatives with them."""


class CandidateSearch:
    """Finds candidates in an index of the whole corpus, whose numbers are the store's.

    Args:
        queries: the training queries.
        store: the corpus.
        depth: see ``AnnMiner``.
        filters: likewise.
        backend: likewise.
        verbose: show progress.
    """

    def __init__(
        self, queries: TrainingQueries, store: DocumentStore, *, depth: int, filters: Filters, backend: str, verbose: bool
    ) -> None:
        self._queries = queries
        self._store = store
        self._depth = min(depth, len(store))
        self._found = max(self._depth + filters.skip, TOP)
        self._filters = filters
        self._backend = backend
        self._verbose = verbose

    def search(
        self, model: DenseEncoder, index: AnceIndex, folder: Path, chosen: np.ndarray, previous: MinedNegatives | None
    ) -> MinedNegatives:
        """Search with some of the queries; the others keep their previous candidates.

        Args:
            model: encodes the queries.
            index: made with it.
            folder: of the refresh, where what does not fit into memory is put aside.
            chosen: numbers of the queries, int64, ascending.
            previous: what was mined before.
        """
        began = time.perf_counter()
        ranker = DenseRanker(index, model, self._queries, backend=self._backend)
        built = time.perf_counter() - began
        candidates_QK, scores_QK = without_candidates(folder, len(self._queries), self._depth)
        if previous is not None:
            candidates_QK[:], scores_QK[:] = previous.candidates_QK, previous.scores_QK
        sample_S = chosen[np.unique(np.linspace(0, len(chosen) - 1, SAMPLE).astype(int))]
        found_SF = np.full((len(sample_S), self._found), -1, dtype=np.int64)
        tally = _Tally()
        for ranked, candidates in self._ranked(ranker, chosen):
            block, width = ranked.queries, candidates.found_BK.shape[1]
            tally.add(ranked, candidates)
            if previous is not None:
                tally.shares += float(np.nansum(self._shares(candidates.found_BK, previous.candidates_QK[block])))
            candidates_QK[block], scores_QK[block] = -1, -np.inf
            candidates_QK[block, :width], scores_QK[block, :width] = candidates.found_BK, candidates.scores_BK
            _take(ranked, sample_S, found_SF)
        approximate: dict[str, Any] = {}
        if not is_exact(self._backend):
            exact_SF = self._exactly(model, index, sample_S)
            approximate = {"build_seconds": round(built, 2), "recall_of_exact": self._recall(exact_SF, found_SF)}
            found_SF = exact_SF
        others = time.perf_counter() - began - built - tally.searched
        seconds = {"search_seconds": round(tally.searched, 2), "mine_seconds": round(others, 2)}
        return MinedNegatives(
            candidates_QK=candidates_QK,
            scores_QK=scores_QK,
            top_SN=found_SF[:, :TOP].astype(np.int32),
            sample_S=sample_S,
            report=seconds | tally.report(compared=previous is not None) | approximate,
        )

    def _ranked(self, ranker: DenseRanker, chosen: np.ndarray) -> Iterator[tuple[Allowed, Candidates]]:
        """Rankings of the chosen queries, in blocks, and what the filters leave of them."""
        asks = self._filters.teacher is not None
        what = "asking the teacher" if asks else "searching"
        with tqdm(total=len(chosen), desc=what, unit=" queries", disable=not self._verbose) as bar:
            for ranked in ranker.allowed(chosen, self._found):
                yield ranked, Candidates.of(ranked, self._queries, self._store, self._filters, self._depth, bar.update if asks else None)
                bar.update(0 if asks else len(ranked.queries))

    def _exactly(self, model: DenseEncoder, index: AnceIndex, sample_S: np.ndarray) -> np.ndarray:
        """What exact search finds for a sample, ``[S, F]``."""
        found_SF = np.full((len(sample_S), self._found), -1, dtype=np.int64)
        for ranked in DenseRanker(index, model, self._queries).allowed(sample_S, self._found):
            _take(ranked, sample_S, found_SF)
        return found_SF

    def _recall(self, exact_SF: np.ndarray, found_SF: np.ndarray) -> float | None:
        """The share of what exact search has in the rank window that was found there; ``None`` where that is nothing."""
        window = slice(self._filters.skip, self._filters.skip + self._depth)
        shares_S = self._shares(exact_SF[:, window], found_SF[:, window])
        return None if np.isnan(shares_S).all() else round(float(np.nanmean(shares_S)), 4)

    def _shares(self, found_BK: np.ndarray, others_BK: np.ndarray) -> np.ndarray:
        """For each query the share of its documents that are among others of it, ``[B]``; NaN where it has none."""
        there_BK = found_BK >= 0
        rows_B1 = np.arange(len(found_BK))[:, None] * self._queries.documents
        shared_BK = there_BK & np.isin(rows_B1 + found_BK, (rows_B1 + others_BK)[others_BK >= 0])
        with np.errstate(invalid="ignore"):
            shares_B: np.ndarray = shared_BK.sum(axis=1) / there_BK.sum(axis=1)
        return shares_B


def _take(ranked: Allowed, sample_S: np.ndarray, found_SF: np.ndarray) -> None:
    """Take the first documents of the queries that are in a sample."""
    _, rows, places = np.intersect1d(ranked.queries, sample_S, assume_unique=True, return_indices=True)
    width = min(found_SF.shape[1], ranked.found_BF.shape[1])
    found_SF[places, :width] = ranked.found_BF[rows, :width]


@dataclass(kw_only=True)
class _Tally:
    """Figures over the queries that were searched with."""

    searched: float = 0.0
    queries: int = 0
    considered: int = 0
    suspected: int = 0
    kept: int = 0
    without: int = 0
    scores: float = 0.0
    shares: float = 0.0
    """The sum over queries of the share of candidates that they had before."""

    def add(self, ranked: Allowed, candidates: Candidates) -> None:
        """Count a block of queries."""
        kept_BK = candidates.found_BK >= 0
        self.searched += ranked.seconds
        self.queries += len(ranked.queries)
        self.considered += candidates.considered
        self.suspected += candidates.suspected
        self.kept += int(kept_BK.sum())
        self.without += int((~kept_BK.any(axis=1)).sum())
        self.scores += float(candidates.scores_BK[kept_BK].sum(dtype=np.float64))

    def report(self, *, compared: bool) -> dict[str, Any]:
        """For the report of the refresh; with the shares if there was something to compare with."""
        found = {
            "candidates": round(self.kept / self.queries, 2),
            "queries_without_candidates": self.without,
            "suspected_false_negatives": round(self.suspected / max(1, self.considered), 4),
            "mean_negative_score": self.scores / self.kept if self.kept else None,
        }
        if compared:
            found["overlap_with_previous"] = round(self.shares / max(1, self.queries - self.without), 4)
        return found
