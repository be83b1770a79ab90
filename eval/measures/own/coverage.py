"""Whether the text (not the title) of one of the first k documents holds an answer."""

from __future__ import annotations

import pandas as pd
from ir_measures import measures

from ance_ir.eval.measures.base import OwnMeasure, parameters


class CoverageMeasure(OwnMeasure):
    """See the module."""

    NAME = __name__ = "Coverage"
    SUPPORTED_PARAMS = parameters(patterns=measures.ParamInfo(dtype=bool, default=False, desc="answers are regular expressions"))
    NEEDS = "answers"

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """See ``OwnMeasure``."""
        top = run[(run["rank"] < self["cutoff"]) & run["qid"].isin(self.answers["qid"])]
        return dict.fromkeys(top["qid"][self.evidence.holding(top, patterns=self["patterns"])], 1.0)


MEASURE = CoverageMeasure()
