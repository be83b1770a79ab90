"""The data that the doctor examines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.measures import parse_measures
from ance_ir.eval.rankings import evaluated_qids, evaluated_qrels, evaluated_results


@dataclass(frozen=True, kw_only=True)
class Case:
    """An evaluation and other data; see ``diagnose``. Properties hold the queries evaluated only.

    Attributes:
        all_queries: ``qid query`` of all queries, evaluated or not.
    """

    evaluation: Evaluation
    all_queries: pd.DataFrame
    relevant: int | None = None
    training: Iterable[str] | None = None
    answers: pd.DataFrame | None = None
    documents: Callable[[], int] | None = None
    unknown: Callable[[pd.Index], pd.Index] | None = None
    language: Callable[[], str | None] | None = None

    @cached_property
    def measures(self) -> list[Any]:
        """As ``parse_measures`` returns them."""
        return parse_measures(self.evaluation.measures)

    @cached_property
    def qids(self) -> pd.Index:
        """The qids."""
        return evaluated_qids(self.evaluation)

    @cached_property
    def queries(self) -> pd.DataFrame:
        """``qid query``."""
        return self.all_queries[self.all_queries["qid"].isin(self.qids)].reset_index(drop=True)

    @cached_property
    def qrels(self) -> pd.DataFrame:
        """``qid docno label``."""
        return evaluated_qrels(self.evaluation)

    @cached_property
    def runs(self) -> Mapping[str, pd.DataFrame]:
        """By system, ``qid docno score rank``."""
        return {system: evaluated_results(self.evaluation, system) for system in self.evaluation.runs}
