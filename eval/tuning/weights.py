"""Weights of a fusion, chosen on queries whose judgements are known."""

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
    """What ``tune_weights`` chose, and what it chose from.

    Attributes:
        fusion: the fusion with the weights chosen.
        value: its mean of the measure over the queries that it was tuned on; on others expect less.
        table: all weights tried, best first: ``weight_1``, ``weight_2``, … and the mean of the measure, under its name.
    """

    fusion: WeightedSum
    value: float
    table: pd.DataFrame


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

    The first system weighs 1, since only proportions count. Each system is asked once, whatever is tried. Of weights with equal values
    those nearest to 1 are chosen. Choose on a dev split, and report on another.

    Args:
        fusion: of two systems or more; its own weights do not matter.
        queries: frame with ``qid`` and ``query``; those without judgements are left out.
        qrels: frame with ``qid``, ``docno`` and ``label``; those of other queries are left out.
        measure: its name; more is better.
        grid: weights that each further system may have, 0 or more; all combinations are tried.
        rounds: of refinement. The first tries factors of √2 and its inverse, the next ones the square root of those before.

    Raises:
        UsageError: one system only, a weight below 0 or none, or an unknown measure.
        EvaluationError: queries and qrels have nothing in common.
    """
    parse_measures([measure])
    if len(fusion.systems) < 2:
        raise UsageError("weights are proportions, so there must be two systems or more to tune them")
    values_N = np.asarray(grid)
    numbers = np.issubdtype(values_N.dtype, np.number)
    if not values_N.size or not numbers or not ((values_N >= 0) & np.isfinite(values_N)).all():
        raise UsageError(f"a grid holds weights from 0 on, not {', '.join(map(str, grid)) or 'nothing'}")
    queries, qrels = clean_queries(queries), check_qrels(qrels)
    asked = judged_queries(queries, qrels, "qrels")
    qrels = qrels[qrels["qid"].isin(asked["qid"])].reset_index(drop=True)
    found = fusion.candidates(asked)
    found = Candidates(pairs=found.pairs[["qid", "docno"]], values_SP=found.values_SP)
    values: dict[tuple[float, ...], float] = {}

    def with_weights(weights: tuple[float, ...]) -> WeightedSum:
        changed = pt.inspect.transformer_apply_attributes(fusion, weights=weights)
        assert isinstance(changed, WeightedSum)
        return changed

    def try_all(candidates: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
        for weights in candidates:
            if weights not in values:
                ranked = with_weights(weights).rank(found)
                values[weights] = float(mean_values(evaluate(ranked, qrels, [measure]), ranked).iloc[0])
                logger.info("weights %s: %s %.4f", weights, measure, values[weights])
        return min(values, key=rank)

    def rank(weights: tuple[float, ...]) -> tuple[object, ...]:
        return -round(values[weights], 12), _from_equal(weights)  # rounded, since the order of a sum makes no weights better

    others = len(fusion.systems) - 1
    best = try_all((1.0, *weights) for weights in product(sorted(set(map(float, grid))), repeat=others))
    for number in range(1, rounds + 1):
        factor = 2 ** (0.5**number)
        around = product((1 / factor, 1.0, factor), repeat=others)
        best = try_all((1.0, *(weight * step for weight, step in zip(best[1:], steps, strict=True))) for steps in around)
    columns = [f"weight_{number}" for number in range(1, others + 2)]
    tried = sorted(values, key=rank)
    table = pd.DataFrame(tried, columns=columns).assign(**{measure: [values[weights] for weights in tried]})
    return TunedWeights(fusion=with_weights(best), value=values[best], table=table)


def _from_equal(weights: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
    """How far weights are from all 1, in factors; 0 is farthest."""
    return sum(abs(math.log(weight)) if weight else math.inf for weight in weights), weights
