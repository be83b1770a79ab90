"""Filters of candidates for negatives: some documents that rank first answer the query without having been judged.

Shapes: B queries, K documents for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.models import CrossEncoder
from ance_ir.ragged import owners_of, starts_of
from ance_ir.training import TrainingQueries

FILTERS = ("max_score", "margin", "relative_margin", "teacher")
"""The filters of candidates, in the order in which they are asked."""

_PAIRS = 4096
"""Pairs that the teacher reads together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Filters:
    """Filters of candidates; a candidate must pass all that are set.

    Attributes:
        skip: how many of the first documents are left out (a rank window).
        max_score: candidates must score at most so much.
        margin: candidates must score at least so much below the query's best positive; may be negative.
        relative_margin: P; candidates must score at most s − P · |s|, s being the score of the query's best positive, which is below s
            for negative scores, too (for positive ones, TopK-PercPos of NV-Retriever, Moreira et al. 2024, which takes .05).
        teacher: a cross-encoder; candidates that it scores above the query's best positive are left out …
        teacher_margin: … as are those that it scores less than this below it, in log-odds.

    Raises:
        UsageError: ``skip`` is negative, a margin or the highest score is not a finite number, or ``teacher_margin`` is set without a
            teacher.
    """

    skip: int = 0
    max_score: float | None = None
    margin: float | None = None
    relative_margin: float | None = None
    teacher: CrossEncoder | None = None
    teacher_margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("max_score", "margin", "relative_margin", "teacher_margin"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{name} must be a finite number, not {value}")
        if self.skip < 0:
            raise UsageError(f"skip must be at least 0, not {self.skip}")
        if self.teacher is None and self.teacher_margin:
            raise UsageError(f"teacher_margin {self.teacher_margin} needs a teacher")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The filters, for the run's manifest; those that earlier versions did not have only where they are set."""
        teacher = {"name": self.teacher.name, "fingerprint": self.teacher.fingerprint()} if self.teacher is not None else None
        newer = {name: getattr(self, name) for name in ("max_score", "relative_margin") if getattr(self, name) is not None}
        return {"skip": self.skip, "margin": self.margin, "teacher": teacher, "teacher_margin": self.teacher_margin, **newer}

    def safe(
        self,
        queries: TrainingQueries,
        store: DocumentStore,
        asked_B: np.ndarray,
        found_BK: np.ndarray,
        scores_BK: np.ndarray,
        positive_B: np.ndarray,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Which candidates pass, and how many each filter took.

        Args:
            queries: the training queries.
            store: the documents' texts.
            asked_B: numbers of the queries.
            found_BK: their candidates; −1 is none.
            scores_BK: the candidates' scores.
            positive_B: the scores of the best positives; NaN where none has a score, so that the margins take nothing.
            progress: called with the number of queries of which the teacher has read all pairs.

        Returns:
            bool ``[B, K]``, and for each of ``FILTERS`` how many it took of those that the filters before it had left.
        """
        safe_BK = found_BK >= 0
        left = [int(safe_BK.sum())]
        for limit_B in self._limits(positive_B):
            if limit_B is not None:
                safe_BK &= ~(scores_BK > limit_B[:, None])
            left.append(int(safe_BK.sum()))
        if self.teacher is not None:
            step = max(1, _PAIRS // max(1, found_BK.shape[1]))
            for start in range(0, len(asked_B), step):
                part = slice(start, start + step)
                self._ask_teacher(self.teacher, queries, store, asked_B[part], found_BK[part], safe_BK[part])
                if progress is not None:
                    progress(len(asked_B[part]))
        left.append(int(safe_BK.sum()))
        return safe_BK, {name: before - after for name, before, after in zip(FILTERS, left, left[1:], strict=False)}

    def _limits(self, positive_B: np.ndarray) -> list[np.ndarray | None]:
        """The highest scores that the filters by score let pass, ``[B]``; ``None`` of filters that are not set."""
        return [
            None if self.max_score is None else np.full_like(positive_B, self.max_score),
            None if self.margin is None else positive_B - np.float32(self.margin),
            None if self.relative_margin is None else positive_B - np.float32(self.relative_margin) * np.abs(positive_B),
        ]

    def _ask_teacher(
        self,
        teacher: CrossEncoder,
        queries: TrainingQueries,
        store: DocumentStore,
        asked_B: np.ndarray,
        found_BK: np.ndarray,
        safe_BK: np.ndarray,
    ) -> None:
        """Clear, in ``safe_BK``, candidates that the teacher finds unsafe."""
        rows, columns = np.nonzero(safe_BK)
        counts = np.array([len(queries.positives[query]) for query in asked_B], dtype=np.int64)
        owners = np.concatenate([owners_of(counts), rows])
        documents = np.concatenate([*(queries.positives[query] for query in asked_B), found_BK[rows, columns]])
        texts = [teacher.settings.join(store[int(number)]) for number in documents]
        scores = teacher.log_odds([queries.texts[asked_B[owner]] for owner in owners], texts)
        best_B = np.maximum.reduceat(scores[: counts.sum()], starts_of(counts))
        safe_BK[rows, columns] = scores[counts.sum() :] <= best_B[rows] - self.teacher_margin
