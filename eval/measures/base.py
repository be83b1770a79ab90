"""The base of our measures: measures of ``ir_measures``, known to ``parse_measure`` by name and usable in ``pt.Experiment``.

``values`` alone computes it: ``evaluate`` calls it directly, ``ir_measures`` through ``runtime_impl``.
``pt.Experiment`` takes plain means itself, also of ``Hole``, which our tables, intervals and tests pool, and gets NaN for queries without
answers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import ir_measures
import pandas as pd
from ir_measures import measures

from ance_ir.errors import EvaluationError
from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.runs import check_answers, check_run

_NAMES = {"query_id": "qid", "doc_id": "docno", "relevance": "label"}


class _Cutoff(measures.ParamInfo):
    def validate(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0


def parameters(**more: measures.ParamInfo) -> dict[str, measures.ParamInfo]:
    """The cut-off, which the measure needs, and others."""
    return {"cutoff": _Cutoff(required=True, desc="how many of the first documents count"), **more}  # type: ignore[no-untyped-call]


class _Mean(measures.MeanAgg):
    """The mean over the queries for which the measure is defined."""

    def add(self, value: float) -> None:
        if not math.isnan(value):
            super().add(value)  # type: ignore[no-untyped-call]


class OwnMeasure(measures.Measure, ABC):
    """A measure of ours. ``evidence`` is what it needs in addition to run and qrels; ``bind_measures`` sets it."""

    NAME: str
    DEFAULT = math.nan
    RUN_INPUTS: ClassVar[Sequence[str]] = ("query_id", "doc_id", "score")
    QREL_INPUTS: ClassVar[Sequence[str]] = ("query_id",)

    NEEDS: ClassVar[str | None] = None
    """``"qrels"`` or ``"answers"``: only queries that have these count. ``None``: those of the qrels, if there are any."""

    READS: ClassVar[Callable[[pd.DataFrame], pd.DataFrame]] = check_run
    """Checks the frame that it evaluates: a run or answers."""

    POOLED: ClassVar[bool] = False
    """Whether its mean weighs queries, by ``weights``, and does not count all alike."""

    evidence = Evidence()

    def example(self) -> str:
        """Its name with the parameters that it needs, as an example."""
        needed = ", ".join(f"{name}='NAME'" for name, about in self.SUPPORTED_PARAMS.items() if about.required and name != "cutoff")
        return f"{self.NAME}{needed and f'({needed})'}{'@20' if 'cutoff' in self.SUPPORTED_PARAMS else ''}"

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

    def __call__(self, **params: Any) -> OwnMeasure:
        """The same measure with other parameters."""
        other = type(self)(**{**self.params, **params})
        other.evidence = self.evidence
        return other

    def bound(self, evidence: Evidence) -> OwnMeasure:
        """A copy with its evidence."""
        copy = self()
        copy.evidence = evidence
        return copy

    def check(self, evidence: Evidence, systems: Collection[str] = ()) -> None:
        """Refuse insufficient evidence; see ``check_measures``."""
        if self.NEEDS == "answers" and evidence.answers is None:
            raise EvaluationError(
                f"{self} needs answers to the questions, and there are none: answers.jsonl of a collection, or Evidence(answers=…)"
            )

    @abstractmethod
    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """The values by qid; a query that counts and has none gets 0.

        Args:
            run: as ``READS`` returns it.
            qrels: frame with ``qid`` and ``docno``; a measure that does not need them reads nothing of it.
        """

    def defined(self, qids: pd.Index, qrels: pd.DataFrame) -> pd.Index:
        """The queries for which there is a value."""
        if self.NEEDS == "answers":
            return qids[qids.isin(self.answers["qid"])]
        return qids if self.NEEDS is None and qrels.empty else qids[qids.isin(qrels["qid"])]

    def weights(self, values: pd.Series[float], run: pd.DataFrame) -> pd.Series[float]:
        """The weight of each query in the mean; 0 without a value."""
        return values.notna().astype(float)

    def aggregator(self) -> Any:
        """How ``ir_measures`` aggregates the values of queries."""
        return _Mean()  # type: ignore[no-untyped-call]

    def runtime_impl(self, qrels: pd.DataFrame, run: pd.DataFrame) -> Iterator[ir_measures.Metric]:
        """See ``ir_measures``. The queries that count are those of the frame that it calls qrels, which may be one of answers."""
        self.check(self.evidence)
        run, qrels = run.rename(columns=_NAMES), qrels.rename(columns=_NAMES)
        values = self.values(type(self).READS(run), qrels)
        for qid in self.defined(pd.Index(qrels["qid"].unique()), qrels):
            yield ir_measures.Metric(qid, self, values.get(qid, 0.0))

    @property
    def answers(self) -> pd.DataFrame:
        """The right answers: ``qid answers``."""
        assert self.evidence.answers is not None
        return self.evidence.answers


class AnswerMeasure(OwnMeasure):
    """A measure of the answers that a reader gave; ``compare`` gives the value of one, from it and the right ones."""

    NEEDS = "answers"
    READS = check_answers
    RUN_INPUTS = ("query_id", "qanswer")
    compare: ClassVar[Callable[[str, Sequence[str]], float]]

    def values(self, run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
        """See ``OwnMeasure``."""
        right = dict(zip(self.answers["qid"], self.answers["answers"], strict=True))
        return {qid: type(self).compare(given, right[qid]) for qid, given in zip(run["qid"], run["qanswer"], strict=True) if qid in right}
