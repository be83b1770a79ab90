"""From a ranking to the candidates for negatives: a window of it, as far as the filters let it pass.

Shapes: Q queries, B of a block, K candidates, R positives of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ance_ir.arrays import scratch_array
from ance_ir.datasets import DocumentStore
from ance_ir.indexes.mining.allowed import Allowed, compact, positives_of
from ance_ir.indexes.mining.filters import Filters
from ance_ir.ragged import starts_of
from ance_ir.training import TrainingQueries


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The candidates of B queries.

    Attributes:
        found_BK: document numbers, best first; −1 after the last.
        scores_BK: their scores, float32; −∞ after the last.
        positive_B: the score of each query's best positive, float32; NaN where none has a score.
        considered: how many documents the windows had.
        suspected: how many of these score at least as high as the best positive.
        taken: how many of these each filter took.
    """

    found_BK: np.ndarray
    scores_BK: np.ndarray
    positive_B: np.ndarray
    considered: int
    suspected: int
    taken: Mapping[str, int]

    @classmethod
    def of(
        cls,
        ranked: Allowed,
        queries: TrainingQueries,
        store: DocumentStore,
        filters: Filters,
        depth: int,
        progress: Callable[[int], object] | None = None,
    ) -> Candidates:
        """The candidates in rankings.

        Args:
            ranked: has at least ``filters.skip + depth`` documents for each query, if there are so many.
            queries: the training queries.
            store: the documents' texts.
            filters: which candidates are safe.
            depth: documents of the window.
            progress: see ``Filters.safe``.
        """
        window = slice(filters.skip, filters.skip + depth)
        found_BK, scores_BK = ranked.found_BF[:, window], ranked.scores_BF[:, window]
        counts, _ = positives_of(queries, ranked.queries)
        positive_B = np.fmax.reduceat(ranked.positive_R, starts_of(counts))
        safe_BK, taken = filters.safe(queries, store, ranked.queries, found_BK, scores_BK, positive_B, progress)
        suspected = int(((found_BK >= 0) & (scores_BK >= positive_B[:, None])).sum())
        considered = int((found_BK >= 0).sum())
        found_BK, scores_BK = compact(found_BK, scores_BK, safe_BK)
        return cls(
            found_BK=found_BK,
            scores_BK=scores_BK,
            positive_B=positive_B,
            considered=considered,
            suspected=suspected,
            taken=taken,
        )


def without_candidates(folder: Path, queries: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and scores of Q queries that have none yet, int32 and float32 ``[Q, depth]``, in unnamed files in a folder."""
    shape = (queries, depth)
    return scratch_array(folder, shape, np.dtype(np.int32), -1), scratch_array(folder, shape, np.dtype(np.float32), -np.inf)
