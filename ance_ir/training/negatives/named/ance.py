"""Documents that the model being trained ranks first, as of the last refresh (paper, section 3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from ance_ir.choices import check_choice
from ance_ir.errors import TrainingError
from ance_ir.notices import examples
from ance_ir.training.negatives.named.random import RandomNegatives
from ance_ir.training.negatives.source import Draw, NegativeSource, draw_places
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.refresh.mined import MinedNegatives

logger = logging.getLogger(__name__)


class AnnNegatives(NegativeSource):
    """Draws from what a refresh mined, as far as it may be drawn; a query without candidates draws from the whole corpus.

    Args:
        queries: the training queries.
        draw: ``"uniform"``, ``"top"`` (the candidates that rank first) or ``"score"`` (by the softmax of their scores).
        temperature: scores are divided by it in the softmax.

    Raises:
        UsageError: there is no such way to draw.
    """

    name = "ance"
    mines = True

    def __init__(self, queries: TrainingQueries, *, draw: Draw = "uniform", temperature: float = 1.0) -> None:
        check_choice("draw", draw, get_args(Draw))
        self._draw = draw
        self._temperature = temperature
        self._queries = queries
        self._random = RandomNegatives(queries)
        self._mined: MinedNegatives | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """How they are drawn."""
        return {"draw": self._draw, **({"temperature": self._temperature} if self._draw == "score" else {})}

    def use(self, mined: MinedNegatives) -> None:
        """See ``NegativeSchedule.use``.

        Raises:
            TrainingError: they were mined for other queries.
        """
        if len(mined.candidates_QK) != len(self._queries):
            raise TrainingError(f"negatives of {len(mined.candidates_QK)} queries were mined; there are {len(self._queries)} to train on")
        if self._mined is None:
            self._warn_of_candidates(mined)
        self._mined = mined

    def _warn_of_candidates(self, mined: MinedNegatives) -> None:
        queries = self._queries
        if (empty := np.flatnonzero(mined.candidates_QK[:, 0] < 0)).size:
            message = "ance: %d of %d training queries have no candidates after the first refresh (%s); they draw from %s"
            logger.warning(message, len(empty), len(queries), examples(queries.qids[query] for query in empty), queries.drawn_else)
        if queries.candidates is not None:
            allowed = sum(int(queries.allows(query, found_K).sum()) for query, found_K in enumerate(mined.candidates_QK))
            total = int((np.asarray(mined.candidates_QK) >= 0).sum())
            message = "ance: %d of %d candidates of the first refresh have no score of the teacher; such are not drawn"
            logger.warning(message, total - allowed, total)

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        if self._mined is None:
            raise TrainingError("there are no mined negatives before the first refresh")
        drawn = np.empty((len(queries), count), dtype=np.int64)
        for row, query in enumerate(queries.tolist()):
            drawn[row] = self._of(self._mined, query, count, generator)
        return drawn

    def _of(self, mined: MinedNegatives, query: int, count: int, generator: np.random.Generator) -> np.ndarray:
        candidates_K = np.array(mined.candidates_QK[query], dtype=np.int64)
        scores_K = mined.scores_QK[query]
        if self._queries.candidates is not None:
            allowed_K = self._queries.allows(query, candidates_K)
            candidates_K, scores_K = candidates_K[allowed_K], scores_K[allowed_K]
        total = int((candidates_K >= 0).sum())
        if not total:
            return self._random.draw(np.array([query]), count, generator)
        drawn: np.ndarray = candidates_K[draw_places(scores_K[:total], count, self._draw, self._temperature, generator)]
        return drawn


def make(queries: TrainingQueries, draw: Draw, temperature: float) -> AnnNegatives:
    """The source named ``ance``."""
    return AnnNegatives(queries, draw=draw, temperature=temperature)
