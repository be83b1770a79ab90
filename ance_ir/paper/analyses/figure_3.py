"""Dense retrieval finds passages with answers more often than BM25, and ANCE more often than DPR.

The paper counts, for Natural Questions and TriviaQA, the questions with an answer in one of the first 20 and 100 passages.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ance_ir.eval import Table
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Claim, Outcome, tested
from ance_ir.paper.pictures import Curve, curves_picture

_DEPTHS = (1, 5, 20, 100)
_TESTED = (20, 100)


def measure(asked: Asked) -> dict[str, Any]:
    """Evaluate the systems; the values of each question at the depths that are tested."""
    evaluation = asked.evaluated([_name(depth) for depth in _DEPTHS], num_results=max(_DEPTHS))
    values = {
        system: {_name(depth): told[_name(depth)].astype(float).tolist() for depth in _TESTED} | {"qid": list(told.index)}
        for system, told in evaluation.per_query.items()
    }
    return {"evaluation": evaluation.to_json(), "values": values}


def _name(depth: int) -> str:
    return f"Coverage@{depth}"


def show(found: Mapping[str, Any]) -> Shown:
    """Coverage by depth, and each system against those before it."""
    evaluation, systems = found["evaluation"], found["evaluation"]["systems"]
    names = [_name(depth) for depth in _DEPTHS]
    rows = [[system, *(_cell(told["measures"][name], told["intervals"][name]) for name in names)] for system, told in systems.items()]
    curves = {
        system: Curve(
            x=_DEPTHS,
            y=[told["measures"][name] for name in names],
            low=[told["intervals"][name][0] for name in names],
            high=[told["intervals"][name][1] for name in names],
        )
        for system, told in systems.items()
    }
    caption = f"Means over {evaluation['queries']:,} questions with 95 % bootstrap intervals"
    return Shown(
        tables={caption: Table(header=["system", *names], rows=rows)},
        outcomes=_outcomes(found["values"]),
        picture=curves_picture({"": curves}, x="passages", y="Coverage, share of questions", ticks=_DEPTHS),
    )


def _outcomes(values: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
    per_query = {
        f"{system}, {depth}": pd.DataFrame({_name(depth): told[_name(depth)]}, index=pd.Index(told["qid"], name="qid"))
        for system, told in values.items()
        for depth in _TESTED
    }
    claims = [
        Claim(
            expected=f"{later} finds answers among the first {depth} passages more often than {earlier}",
            higher=f"{later}, {depth}",
            lower=f"{earlier}, {depth}",
        )
        for earlier, later in itertools.combinations(values, 2)
        for depth in _TESTED
    ]
    return tested(per_query, claims)


def _cell(value: float, limits: Sequence[float]) -> str:
    return f"{value:.4f} [{limits[0]:.4f}, {limits[1]:.4f}]"


ANALYSIS = Analysis(
    covers="figure 3 and table 6, coverage",
    needs={"system": Need(what="two or more, over a collection whose questions have answers; each is to exceed those before it", least=2)},
    choices=("split",),
    measure=measure,
    show=show,
)
