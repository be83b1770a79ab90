"""Systems with fewer results for every query than a measure looks at."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding

CUT = 0.5
"""If a smaller share of the queries has the largest number of results, it comes from no cut-off: a lexical system found no more."""


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    cutoffs = {str(measure): int(measure.params["cutoff"]) for measure in case.measures if "cutoff" in measure.params}
    for system, run in case.runs.items():
        if run.empty:
            continue
        sizes = run.groupby("qid").size()
        depth = int(sizes.max())
        if (sizes == depth).mean() < CUT:
            continue
        deeper = [name for name, cutoff in cutoffs.items() if cutoff > depth]
        if deeper and case.documents is not None and case.documents() <= depth:
            continue
        if deeper:
            yield Finding(
                severity="warning",
                system=system,
                what=f"no query has more than {depth:,} result{'' if depth == 1 else 's'}, too few for {', '.join(deeper)}",
                figures={"results": depth},
                advice="more results, or measures with a smaller cut-off, compare it fairly with deeper runs",
            )
