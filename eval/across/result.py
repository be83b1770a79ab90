"""The result on one of several collections, without its runs, which may be large and lie on disk."""

from __future__ import annotations

from collections.abc import Collection as Several
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ance_ir.eval.benchmarks import Collection
from ance_ir.eval.doctor import Findings
from ance_ir.eval.evaluation import TIME, Evaluation


@dataclass(frozen=True, kw_only=True, eq=False)
class CollectionResult:
    """The result on one of several collections.

    Attributes:
        collection: which.
        dataset: the dataset's name.
        queries: how many were evaluated.
        means: a row for each system, a column for each measure.
        significant: pairs of a system and a measure in which it differs from the baseline by more than chance, on this collection.
        reused: the systems whose runs were kept from an earlier evaluation.
        notices: warnings about what was left out, cut, assumed or replaced.
        findings: the doctor's.
        figures: all figures of the evaluation, as ``Evaluation.to_json``.
    """

    collection: Collection
    dataset: str
    queries: int
    means: pd.DataFrame
    significant: Several[tuple[str, str]]
    reused: tuple[str, ...]
    notices: tuple[str, ...]
    findings: Findings
    figures: dict[str, Any]

    @classmethod
    def of(cls, collection: Collection, dataset: str, evaluation: Evaluation, findings: Findings) -> CollectionResult:
        """The result of an evaluation."""
        figures = evaluation.to_json()
        return cls(
            collection=collection,
            dataset=dataset,
            queries=figures["queries"],
            means=evaluation.table().drop(columns=TIME),
            significant=evaluation.significant(),
            reused=evaluation.reused,
            notices=evaluation.notices,
            findings=findings,
            figures=figures,
        )

    def __repr__(self) -> str:
        return f"CollectionResult({self.collection.name}, {len(self.means)} systems, {self.queries:,} queries)"

    def to_json(self) -> dict[str, Any]:
        """All figures, for JSON."""
        about = {"dataset": self.dataset, "split": self.collection.split, "group": self.collection.group or None}
        return about | self.figures
