"""The overlap of the top k of two runs: the number of documents in both, divided by k."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from ir_measures import measures

from ance_ir.errors import EvaluationError
from ance_ir.eval.measures.base import OwnMeasure, parameters
from ance_ir.eval.measures.evidence import Evidence


class OverlapMeasure(OwnMeasure):
    """See the module."""

    NAME = __name__ = "Overlap"
    SUPPORTED_PARAMS = parameters(run=measures.ParamInfo(dtype=str, required=True, desc="name of the run to compare with"))

    def check(self, evidence: Evidence, systems: Collection[str] = ()) -> None:
        """See ``OwnMeasure``."""
        if self["run"] not in (runs := {*evidence.runs, *systems}):
            known = ", ".join(sorted(runs)) or "none"
            raise EvaluationError(f"{self} needs a run called {self['run']!r}; the runs given are: {known}")

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """See ``OwnMeasure``."""
        other = self.evidence.runs[self["run"]]
        tops = [frame[frame["rank"] < self["cutoff"]][["qid", "docno"]] for frame in (run, other)]
        common = tops[0].merge(tops[1]).groupby("qid").size()
        return {str(qid): count / self["cutoff"] for qid, count in common.items()}


MEASURE = OverlapMeasure()
