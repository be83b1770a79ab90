"""Dense retrievers find other documents than BM25, so that more of their results are unjudged.

The paper counts, on TREC DL 2019, recall, the unjudged among the first 10 (holes), and how many of the first 100 are among BM25's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ance_ir.eval import Table, suite_of
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, compared
from ance_ir.paper.pictures import dots_picture

_HOLE, _OVERLAP = "Hole@10", "Overlap@100"
_SHARED = 0.25
"""Of the first 100, the share that the paper's dense systems have in common with BM25 at most."""


def measure(asked: Asked) -> dict[str, Any]:
    """Evaluate the systems; of the suite's measures, the recalls."""
    recalls = [name for name in suite_of(asked.dataset, asked.split).measures if name.startswith(("R@", "R("))] or ["R@1000"]
    bm25 = asked.names()[0]
    overlap = f"Overlap(run='{bm25}')@100"
    found = asked.evaluated([*recalls, _HOLE, overlap]).to_json()
    return {"recalls": recalls, "overlap": next(name for name in found["measures"] if name.startswith("Overlap")), "evaluation": found}


def show(found: Mapping[str, Any]) -> Shown:
    """The table, and for each dense system whether it has more holes and shares little with BM25."""
    evaluation, overlap = found["evaluation"], found["overlap"]
    systems, bm25 = evaluation["systems"], evaluation["baseline"]
    names = {
        **{name: name for name in found["recalls"]},
        _HOLE: f"unjudged of the first 10 ({_HOLE})",
        overlap: f"shared with {bm25} ({_OVERLAP})",
    }
    names = {measure: label for measure, label in names.items() if measure in evaluation["measures"]}
    rows = [[system, *(_cell(told, measure, percent=measure in (_HOLE, overlap)) for measure in names)] for system, told in systems.items()]
    outcomes = []
    for system, told in systems.items():
        if system != bm25:
            expected = f"more of the first 10 of {system} are unjudged than of those of {bm25}"
            outcomes += [compared(evaluation, system, _HOLE, expected), _shared(system, bm25, told, overlap)]
    panels = {
        label: {system: [told["measures"][measure], *told["intervals"][measure]] for system, told in systems.items()}
        for measure, label in names.items()
    }
    caption = f"Means over {evaluation['queries']:,} queries with 95 % bootstrap intervals"
    return Shown(tables={caption: Table(header=["system", *names.values()], rows=rows)}, outcomes=outcomes, picture=dots_picture(panels))


def _cell(told: Mapping[str, Any], measure: str, *, percent: bool) -> str:
    values = [told["measures"][measure], *told["intervals"][measure]]
    mean, low, high = (f"{100 * value:.1f}" if percent else f"{value:.4f}" for value in values)
    return f"{mean}{' %' if percent else ''} [{low}, {high}]"


def _shared(system: str, bm25: str, told: Mapping[str, Any], overlap: str) -> Outcome:
    low, high = told["intervals"][overlap]
    return Outcome(
        expected=f"at most a quarter of the first 100 of {system} are among those of {bm25}",
        verdict="as in the paper" if high < _SHARED else "does not hold" if low > _SHARED else "no significant difference",
        figures=f"{told['measures'][overlap]:.1%}, 95 % interval {low:.1%} to {high:.1%}",
    )


ANALYSIS = Analysis(
    covers="table 2",
    needs={"system": Need(what="BM25, then the systems that are compared with it", least=2)},
    choices=("split",),
    measure=measure,
    show=show,
)
