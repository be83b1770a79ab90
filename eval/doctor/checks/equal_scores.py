"""Systems with equal scores in a query's top 10, which leave the order to the docnos."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding

TOP = 10
TIED = 0.25
"""A larger share of queries with equal scores in the top 10 is reported."""
SAME = 0.05
"""A larger share of queries with one score in the whole top 10 is reported."""
MOST = 0.5
"""A larger one is a problem."""


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    for system, run in case.runs.items():
        top = run[run["rank"] < TOP]
        scores = top["score"].astype(np.float32).groupby(top["qid"])  # in which results are ordered
        size, different = scores.size(), scores.nunique()
        several = size > 1
        if not several.any():
            continue
        constant = float((different[several] == 1).mean())
        some = float((different[several] < size[several]).mean())
        figures = {"queries with equal scores": some, "queries with one score": constant}
        if constant > SAME:
            yield Finding(
                severity="problem" if constant > MOST else "warning",
                system=system,
                what=f"on {constant:.1%} of the queries the whole top {TOP} has one score",
                figures=figures,
                advice="docnos decide the order there, not the system; check that its scores were kept",
            )
        elif some > TIED:
            yield Finding(
                severity="note",
                system=system,
                what=f"on {some:.1%} of the queries (more than {TIED:.0%}) scores in the top {TOP} are equal",
                figures=figures,
                advice="docnos decide there; other tools may order ties differently and get other figures",
            )
