"""The comparison and the curves of the page, over all queries."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.rankings import evaluated_qrels, evaluated_results
from ance_ir.eval.report.curves import LEVELS, precision_by_recall, scores_by_rank
from ance_ir.eval.report.figures import Axis, band, chart, interval, line, nice_ticks

_UNIT = np.linspace(0, 1, 6).round(1).tolist()


def differences(evaluation: Evaluation) -> list[dict[str, object]]:
    """Rows of the comparison with the baseline, each with the ``low`` and ``high`` of its interval, and the interval ``drawn``."""
    if evaluation.comparison is None or evaluation.comparison.empty:
        return []
    compared = evaluation.comparison.to_dict("records")
    limits = [evaluation.interval(row["system"], row["measure"], "difference_") for row in compared]
    reach = float(np.abs(limits).max()) or 1.0
    return [
        {str(name): value for name, value in row.items()}
        | {"low": low, "high": high, "drawn": interval(low, row["difference"], high, reach)}
        for row, (low, high) in zip(compared, limits, strict=True)
    ]


def curves(evaluation: Evaluation, relevant: int) -> list[Markup]:
    """Precision by recall of all systems, and the scores by rank of each."""
    qrels, figures = evaluated_qrels(evaluation), []
    share = Axis(label="precision, interpolated", low=0, high=1, ticks=_UNIT)
    recall = Axis(label="recall", low=0, high=1, ticks=_UNIT)
    numbers = {system: number for number, system in enumerate(evaluation.runs)}
    runs = {system: run for system in numbers if len(run := evaluated_results(evaluation, system))}
    if (qrels["label"] >= relevant).any():
        drawn = [line(numbers[system], recall, share, LEVELS, precision_by_recall(run, qrels, relevant)) for system, run in runs.items()]
        figures.append(chart("Precision by recall", recall, share, "".join(drawn)))
    return figures + [_decay(numbers[system], system, scores_by_rank(run)) for system, run in runs.items()]


def _decay(number: int, system: str, scores: np.ndarray) -> Markup:
    ranks = np.arange(1, len(scores) + 1)
    kept = np.unique(np.geomspace(1, len(ranks), 120).round().astype(int)) - 1
    low, high = float(scores[kept].min()), float(scores[kept].max())
    margin = 0.05 * (high - low) or 0.5
    y = Axis(label="mean score, and its quartiles", low=low - margin, high=high + margin, ticks=nice_ticks(low - margin, high + margin))
    last = max(2, len(ranks))
    x = Axis(label="rank", low=1, high=last, ticks=[tick for tick in (1, 10, 100, 1000, 10_000) if tick <= last], log=True)
    drawn = band(number, x, y, ranks[kept].astype(float), scores[kept, 0], scores[kept, 2])
    return chart(f"Score by rank: {system}", x, y, drawn + line(number, x, y, ranks[kept], scores[kept, 1]))
