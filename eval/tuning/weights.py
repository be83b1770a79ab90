"""Weights of a fusion, tuned on judged queries."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.ids import clean_queries
from ance_ir.errors import UsageError
from ance_ir.eval.measures import check_qrels, evaluate, judged_queries, mean_values, parse_measures
from ance_ir.pipelines import WeightedSum
from ance_ir.pipelines.fusion import Candidates

logger = logging.getLogger(__name__)

GRID = (0.0, *(2.0**power for power in range(-8, 9)))


@dataclass(frozen=True, kw_only=True, eq=False)
class TunedWeights:
    """The weights that ``tune_weights`` chose, and all that it tried.

    Attributes:
        fusion: the fusion with the weights chosen.
        value: its mean of the measure over the queries that it was tuned on; on others expect less.
        table: all weights tried, best first: ``weight_1``, ``weight_2``, … and the mean of the measure, under its name.
    """

    fusion: WeightedSum
    value: float
    table: pd.DataFrame

    def __repr__(self) -> str:
        return f"TunedWeights({self.fusion!r}, {self.table.columns[-1]} {self.value:.4f}, best of {len(self.table)})"


def tune_weights(
    fusion: WeightedSum,
    queries: pd.DataFrame,
    qrels: pd.DataFrame,
    measure: str = "nDCG@10",
    *,
    grid: Sequence[float] = GRID,
    rounds: int = 3,
) -> TunedWeights:
    """Choose the weights with the highest mean of a measure: those of a grid first, then ever closer ones around the best.

    The first system weighs 1, since only proportions count. Each system runs once. Of weights with equal values
    those nearest to 1 are chosen. Choose on a dev split, and report on another.

    Args:
        fusion: of two systems or more; its own weights do not matter.
        queries: frame with ``qid`` and ``query``; those without judgements are left out.
        qrels: frame with ``qid``, ``docno`` and ``label``; those of other queries are left out.
        measure: its name; a higher value is better.
        grid: weights that each further system may have, 0 or more; all combinations are tried.
        rounds: of refinement. The first tries factors of √2 and its inverse, the next ones the square root of those before.

    Raises:
        UsageError: one system only, a weight below 0 or none, or an unknown measure.
        EvaluationError: queries and qrels have nothing in common.
    """
    parse_measures([measure])
    _check_grid(fusion, grid)
    queries, qrels = clean_queries(queries), check_qrels(qrels)
    queries = judged_queries(queries, qrels, "qrels")
    trials = _Trials(fusion, queries, qrels[qrels["qid"].isin(queries["qid"])].reset_index(drop=True), measure)
    others = len(fusion.systems) - 1
    best = trials.best_of(product(sorted(set(map(float, grid))), repeat=others))
    for number in range(1, rounds + 1):
        factor = 2 ** (0.5**number)
        around = product((1 / factor, 1.0, factor), repeat=others)
        best = trials.best_of(tuple(weight * step for weight, step in zip(best[1:], steps, strict=True)) for steps in around)
    return TunedWeights(fusion=trials.fusion_with(best), value=trials.values[best], table=trials.table())


def _check_grid(fusion: WeightedSum, grid: Sequence[float]) -> None:
    if len(fusion.systems) < 2:
        raise UsageError("weights are proportions, so there must be two systems or more to tune them")
    values_N = np.asarray(grid)
    numbers = np.issubdtype(values_N.dtype, np.number)
    if not values_N.size or not numbers or not ((values_N >= 0) & np.isfinite(values_N)).all():
        raise UsageError(f"a grid holds weights from 0, not {', '.join(map(str, grid)) or 'nothing'}")


class _Trials:
    """The weights tried so far, each once, on the systems' results.

    Attributes:
        values: by weights, the mean of the measure.
    """

    def __init__(self, fusion: WeightedSum, queries: pd.DataFrame, qrels: pd.DataFrame, measure: str) -> None:
        found = fusion.candidates(queries)
        self._found = Candidates(pairs=found.pairs[["qid", "docno"]], values_SP=found.values_SP)
        self._fusion, self._qrels, self._measure = fusion, qrels, measure
        self.values: dict[tuple[float, ...], float] = {}

    def fusion_with(self, weights: tuple[float, ...]) -> WeightedSum:
        """The fusion with other weights."""
        changed = pt.inspect.transformer_apply_attributes(self._fusion, weights=weights)
        assert isinstance(changed, WeightedSum)
        return changed

    def best_of(self, weights_of_others: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
        """Try weights of the systems after the first, which weighs 1; the best of all tried so far."""
        for others in weights_of_others:
            weights = (1.0, *others)
            if weights not in self.values:
                ranked = self.fusion_with(weights).rank(self._found)
                self.values[weights] = float(mean_values(evaluate(ranked, self._qrels, [self._measure]), ranked).iloc[0])
                logger.info("weights %s: %s %.4f", weights, self._measure, self.values[weights])
        return min(self.values, key=self._rank)

    def table(self) -> pd.DataFrame:
        """See ``TunedWeights``."""
        tried = sorted(self.values, key=self._rank)
        columns = [f"weight_{number}" for number in range(1, len(tried[0]) + 1)]
        return pd.DataFrame(tried, columns=columns).assign(**{self._measure: [self.values[weights] for weights in tried]})

    def _rank(self, weights: tuple[float, ...]) -> tuple[object, ...]:
        return -round(self.values[weights], 12), _from_equal(weights)  # rounded, since the order of a sum makes no weights better


def _from_equal(weights: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
    """Distance of weights from 1, in factors; 0 is farthest."""
    return sum(abs(math.log(weight)) if weight else math.inf for weight in weights), weights
