"""Measures that ``ir_measures`` lacks, as measures of its own: known to ``parse_measure`` by name, usable in ``pt.Experiment``.

Each is computed in one place, ``values``; ``evaluate`` calls it, and ``runtime_impl`` for those who come by way of ``ir_measures``.
``pt.Experiment`` takes plain means itself: of ``Hole`` too, which the table, its intervals and its tests pool, and NaN where a query has no
answers to look for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import ir_measures
import pandas as pd
from ir_measures import measures

from ance_ir.answers import exact_match, f1
from ance_ir.errors import EvaluationError
from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.runs import check_answers, check_run

_NAMES = {"query_id": "qid", "doc_id": "docno", "relevance": "label"}


class _Cutoff(measures.ParamInfo):
    def validate(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _parameters(**more: measures.ParamInfo) -> dict[str, measures.ParamInfo]:
    return {"cutoff": _Cutoff(required=True, desc="how many of the first documents count"), **more}  # type: ignore[no-untyped-call]


class _Mean(measures.MeanAgg):
    """The mean over the queries for which the measure is defined."""

    def add(self, value: float) -> None:
        if not math.isnan(value):
            super().add(value)  # type: ignore[no-untyped-call]


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


class OwnMeasure(measures.Measure, ABC):
    """A measure of ours. ``evidence`` is what it needs beside run and qrels; ``bind_measures`` hands it over."""

    DEFAULT = math.nan
    RUN_INPUTS: ClassVar[Sequence[str]] = ("query_id", "doc_id", "score")
    QREL_INPUTS: ClassVar[Sequence[str]] = ("query_id",)

    NEEDS: ClassVar[str | None] = None
    """``"qrels"`` or ``"answers"``, of which only queries that have some count; ``None``: those of the qrels where there are any."""

    READS: ClassVar[Callable[[pd.DataFrame], pd.DataFrame]] = check_run
    """Checks the frame that it evaluates."""

    evidence = Evidence()

    def __call__(self, **params: Any) -> OwnMeasure:
        """The same measure with other parameters."""
        other = type(self)(**{**self.params, **params})
        other.evidence = self.evidence
        return other

    def bound(self, evidence: Evidence) -> OwnMeasure:
        """A copy that knows what it needs."""
        copy = self()
        copy.evidence = evidence
        return copy

    def check(self, evidence: Evidence, systems: Collection[str] = ()) -> None:
        """Refuse evidence that does not suffice, see ``check_measures``."""
        if self.NEEDS == "answers" and evidence.answers is None:
            raise EvaluationError(
                f"{self} needs answers to the questions, and there are none: answers.jsonl of a collection, or Evidence(answers=…)"
            )

    @abstractmethod
    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """The value for each query that has one; of others that count it is 0.

        Args:
            run: as ``READS`` returns it.
            qrels: frame with ``qid`` and ``docno``; a measure that does not need them reads nothing of it.
        """

    def defined(self, qids: pd.Index, qrels: pd.DataFrame) -> pd.Index:
        """Those of some queries for which there is a value."""
        if self.NEEDS == "answers":
            return qids[qids.isin(self._answers["qid"])]
        return qids if self.NEEDS is None and qrels.empty else qids[qids.isin(qrels["qid"])]

    def weights(self, values: pd.Series[float], run: pd.DataFrame) -> pd.Series[float]:
        """How much each query counts in the mean over queries; those without a value do not."""
        return values.notna().astype(float)

    def aggregator(self) -> Any:
        """What ``ir_measures`` makes one value of those of queries with."""
        return _Mean()  # type: ignore[no-untyped-call]

    def runtime_impl(self, qrels: pd.DataFrame, run: pd.DataFrame) -> Iterator[ir_measures.Metric]:
        """What ``ir_measures`` calls. The queries that count are those of the frame it calls qrels, which may be one of answers."""
        self.check(self.evidence)
        run, qrels = run.rename(columns=_NAMES), qrels.rename(columns=_NAMES)
        values = self.values(type(self).READS(run), qrels)
        for qid in self.defined(pd.Index(qrels["qid"].unique()), qrels):
            yield ir_measures.Metric(qid, self, values.get(qid, 0.0))

    @property
    def _answers(self) -> pd.DataFrame:
        assert self.evidence.answers is not None
        return self.evidence.answers


class _Coverage(OwnMeasure):
    """Whether the text (not the title) of one of the first k documents holds an answer."""

    NAME = __name__ = "Coverage"
    SUPPORTED_PARAMS = _parameters(patterns=measures.ParamInfo(dtype=bool, default=False, desc="answers are regular expressions"))
    NEEDS = "answers"

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        top = run[(run["rank"] < self["cutoff"]) & run["qid"].isin(self._answers["qid"])]
        return dict.fromkeys(top["qid"][self.evidence.holding(top, patterns=self["patterns"])], 1.0)


class _Hole(OwnMeasure):
    """The share of unjudged documents among those retrieved in the top k. Negative labels are judgements.

    For all queries together the documents are pooled: unjudged divided by retrieved, whatever each query retrieved.
    """

    NAME = __name__ = "Hole"
    SUPPORTED_PARAMS = _parameters()
    NEEDS = "qrels"
    QREL_INPUTS = ("query_id", "doc_id")

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        top = run[(run["rank"] < self["cutoff"]) & run["qid"].isin(qrels["qid"])]
        judged = pd.MultiIndex.from_frame(qrels[["qid", "docno"]])
        holes = ~pd.MultiIndex.from_frame(top[["qid", "docno"]]).isin(judged)
        counts = pd.Series(holes, index=top["qid"]).groupby(level=0).agg(["sum", "size"])
        return {qid: _Share.of(int(part), int(whole)) for qid, part, whole in counts.itertuples()}

    def weights(self, values: pd.Series[float], run: pd.DataFrame) -> pd.Series[float]:
        retrieved = run["qid"].value_counts().reindex(values.index, fill_value=0).clip(upper=self["cutoff"])
        return retrieved.where(values.notna(), 0).astype(float)

    def aggregator(self) -> Any:
        return _Pooled()


class _Overlap(OwnMeasure):
    """The share of the top k of two runs that they have in common: documents in both, divided by k."""

    NAME = __name__ = "Overlap"
    SUPPORTED_PARAMS = _parameters(run=measures.ParamInfo(dtype=str, required=True, desc="name of the run to compare with"))

    def check(self, evidence: Evidence, systems: Collection[str] = ()) -> None:
        if self["run"] not in (runs := {*evidence.runs, *systems}):
            known = ", ".join(sorted(runs)) or "none"
            raise EvaluationError(f"{self} needs a run called {self['run']!r}; the runs given are: {known}")

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        other = self.evidence.runs[self["run"]]
        tops = [frame[frame["rank"] < self["cutoff"]][["qid", "docno"]] for frame in (run, other)]
        common = tops[0].merge(tops[1]).groupby("qid").size()
        return {str(qid): count / self["cutoff"] for qid, count in common.items()}


class _AnswerMeasure(OwnMeasure):
    NEEDS = "answers"
    READS = check_answers
    RUN_INPUTS = ("query_id", "qanswer")
    OF: ClassVar[Callable[[str, Sequence[str]], float]]

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        right = dict(zip(self._answers["qid"], self._answers["answers"], strict=True))
        return {qid: type(self).OF(given, right[qid]) for qid, given in zip(run["qid"], run["qanswer"], strict=True) if qid in right}


class _EM(_AnswerMeasure):
    """Whether the answer given equals a right one, as SQuAD compares them."""

    NAME = __name__ = "EM"
    OF = exact_match


class _F1(_AnswerMeasure):
    """Harmonic mean of the precision and recall of the words of the answer given, as SQuAD computes it."""

    NAME = __name__ = "F1"
    OF = f1


EM, F1, Coverage, Hole, Overlap = (kind() for kind in (_EM, _F1, _Coverage, _Hole, _Overlap))
for _measure in (EM, F1, Coverage, Hole, Overlap):
    measures.register(_measure)
