"""The share of unjudged documents among those retrieved in the top k. Negative labels are judgements.

For all queries together the documents are pooled: all unjudged ones divided by all retrieved ones.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from ir_measures import measures

from ance_ir.eval.measures.base import OwnMeasure, parameters


class _Share(float):
    """A part divided by a whole that is remembered."""

    whole: int

    @classmethod
    def of(cls, part: int, whole: int) -> _Share:
        share = cls(part / whole if whole else 0.0)
        share.whole = whole
        return share


class _Pooled(measures.base.Agg):
    """The parts of all queries together, divided by their wholes; 0 where there is nothing."""

    def __init__(self) -> None:
        self._part = 0.0
        self._whole = 0

    def add(self, value: float) -> None:
        whole = getattr(value, "whole", 0)
        self._part += value * whole
        self._whole += whole

    def result(self) -> float:
        return self._part / self._whole if self._whole else 0.0


class HoleMeasure(OwnMeasure):
    """See the module."""

    NAME = __name__ = "Hole"
    SUPPORTED_PARAMS = parameters()
    NEEDS = "qrels"
    QREL_INPUTS = ("query_id", "doc_id")
    POOLED = True

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """See ``OwnMeasure``."""
        top = run[(run["rank"] < self["cutoff"]) & run["qid"].isin(qrels["qid"])]
        judged = pd.MultiIndex.from_frame(qrels[["qid", "docno"]])
        holes = ~pd.MultiIndex.from_frame(top[["qid", "docno"]]).isin(judged)
        counts = pd.Series(holes, index=top["qid"]).groupby(level=0).agg(["sum", "size"])
        return {qid: _Share.of(int(part), int(whole)) for qid, part, whole in counts.itertuples()}

    def weights(self, values: pd.Series[float], run: pd.DataFrame) -> pd.Series[float]:
        """See ``OwnMeasure``."""
        retrieved = run["qid"].value_counts().reindex(values.index, fill_value=0).clip(upper=self["cutoff"])
        return retrieved.where(values.notna(), 0).astype(float)

    def aggregator(self) -> Any:
        """See ``OwnMeasure``."""
        return _Pooled()


MEASURE = HoleMeasure()
