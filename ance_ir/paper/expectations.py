"""The paper's expectations of negatives, and whether a study confirms them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ance_ir.eval.evaluation import SIGNIFICANT
from ance_ir.eval.significance import compare_pairs

Verdict = Literal["holds", "does not hold", "no significant difference"]
Numbers = Mapping[str, Mapping[str, Sequence[float]]]
"""By system and name, a value for each seed."""

MIXED = "bm25+random"
ANCE = ("bm25 -> ance", "ance", "in-batch -> ance")
FAR = 2.0
"""How many times as large a gradient norm is to be to lie far above another."""

FEW, MANY = 0.1, 0.5
"""Overlaps that count as about none and as high."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An expectation, and whether it holds.

    Attributes:
        expected: a sentence.
        verdict: whether it is so.
        figures: from which that follows.
    """

    expected: str
    verdict: Verdict
    figures: str

    def to_json(self) -> dict[str, str]:
        """All of it."""
        return asdict(self)

    def line(self) -> str:
        """For a list in Markdown."""
        return f"- {self.expected}: **{self.verdict}** ({self.figures})"


def expectations(per_query: Mapping[str, pd.DataFrame], numbers: Numbers, documents: int) -> list[Outcome]:
    """Test what the schemes of a study allow to test.

    Args:
        per_query: by system, ``RR@10`` of each query, mean over seeds.
        numbers: ``grad_norm_end`` and ``overlap`` of those that were trained.
        documents: of the corpus.
    """
    return [*_measures(per_query), *_norms(numbers), *_overlaps(numbers, documents)]


def _measures(per_query: Mapping[str, pd.DataFrame]) -> list[Outcome]:
    """ANCE > BM25 + random > BM25 ~ random (table 1), by paired tests over queries."""
    ordered = [*((name, MIXED) for name in ANCE), (MIXED, "bm25"), ("bm25", "random")]
    pairs = [(better, worse) for better, worse in ordered if better in per_query and worse in per_query]
    outcomes = []
    for (better, worse), row in zip(pairs, compare_pairs(per_query, pairs).to_dict("records"), strict=True):
        significant = row["p_corrected"] < SIGNIFICANT
        alike = (better, worse) == ordered[-1]
        verdict: Verdict
        if alike:
            verdict = "does not hold" if significant else "holds"
        else:
            verdict = "no significant difference" if not significant else "holds" if row["difference"] > 0 else "does not hold"
        means = [per_query[name][row["measure"]].mean() for name in (better, worse)]
        outcomes.append(
            Outcome(
                expected=f"{better} is {'about as good as' if alike else 'better than'} {worse}",
                verdict=verdict,
                figures=f"{row['measure']} {means[0]:.4f} and {means[1]:.4f}, difference {row['difference']:+.4f}, "
                f"p {row['p_corrected']:.2g} of a paired t-test over {len(per_query[better]):,} queries, Holm-corrected over {len(pairs)}",
            )
        )
    return outcomes


def _norms(numbers: Numbers) -> list[Outcome]:
    """ANCE's gradient norms lie far above those of random and in-batch negatives (figure 8)."""
    outcomes = []
    for ance in ANCE:
        for other in ("random", "in-batch"):
            if "grad_norm_end" not in numbers.get(ance, {}) or "grad_norm_end" not in numbers.get(other, {}):
                continue
            large, small = np.array(numbers[ance]["grad_norm_end"]), np.array(numbers[other]["grad_norm_end"])
            apart = large.min() > small.max() or small.min() > large.max()
            ratio = float(large.mean() / small.mean()) if small.mean() else float("inf")
            verdict: Verdict = "no significant difference" if not apart else "holds" if ratio >= FAR else "does not hold"
            outcomes.append(
                Outcome(
                    expected=f"the gradient norms of {ance} lie far above those of {other} (at least {FAR:g} times as large)",
                    verdict=verdict,
                    figures=f"{large.mean():.3g} and {small.mean():.3g} over the last quarter, {ratio:.3g} times as large; "
                    + ("one seed" if len(large) == 1 else "the seeds' means do not mix" if apart else "the seeds' means mix"),
                )
            )
    return outcomes


def _overlaps(numbers: Numbers, documents: int) -> list[Outcome]:
    """Of random negatives about none are among what the trained model ranks first, of ANCE's most (figure 7)."""
    outcomes = []
    for name in ("random", *ANCE):
        if "overlap" not in numbers.get(name, {}):
            continue
        share = float(np.mean(numbers[name]["overlap"]))
        few = name == "random"
        holds = share < FEW if few else share >= MANY
        chance = f"; {100 / documents:.1%} of the corpus are 100 documents" if few else ""
        outcomes.append(
            Outcome(
                expected=f"{'about none' if few else 'most'} of the negatives of {name} are among the trained model's first 100 documents",
                verdict="holds" if holds else "does not hold",
                figures=f"{share:.1%}, expected {'below' if few else 'at least'} {FEW if few else MANY:.0%}{chance}",
            )
        )
    return outcomes
