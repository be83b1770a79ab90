"""The paper's expectations of negatives, and whether a study confirms them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from ance_ir.eval.evaluation import SIGNIFICANT
from ance_ir.eval.significance import compare_pairs

Verdict = Literal["holds", "as in the paper", "does not hold", "no significant difference", "not testable here"]
"""A claim holds that is significant over queries and seeds, or over ``SEEDS`` seeds where no query tells; figures of fewer or without
a test that point its way: as in the paper."""

Numbers = Mapping[str, Mapping[str, Sequence[float]]]
"""By system and name, a value for each seed."""

MIXED = "bm25+random"
ANCE = ("bm25 -> ance", "ance", "in-batch -> ance")
FAR = 2.0
"""How many times as large a gradient norm is to be to lie far above another."""

SEEDS = 3
"""From how many seeds on figures that queries do not test may hold: that two groups of three do not mix is by chance so 1 time in 20."""

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


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That one system has higher values than another.

    Attributes:
        expected: a sentence.
        higher: the one.
        lower: the other.
        alike: the claim is that they do not differ, which a test can refute but not confirm.
    """

    expected: str
    higher: str
    lower: str
    alike: bool = False


def expectations(per_query: Mapping[str, pd.DataFrame], numbers: Numbers, documents: int) -> list[Outcome]:
    """Test what the schemes of a study allow to test.

    Args:
        per_query: by system, ``RR@10`` of each query, mean over seeds.
        numbers: ``grad_norm_end`` and ``overlap`` of those that were trained, and ``RR@10``, its mean over queries.
        documents: of the corpus.
    """
    return [*_measures(per_query, numbers), *_norms(numbers), *overlaps(numbers, documents)]


def _measures(per_query: Mapping[str, pd.DataFrame], numbers: Numbers) -> list[Outcome]:
    """ANCE > BM25 + random > BM25 ~ random (table 1), and ANCE > random and in-batch, by paired tests over queries."""
    ordered = [*((name, other) for name in ANCE for other in (MIXED, "random", "in-batch")), (MIXED, "bm25"), ("bm25", "random")]
    claims = [
        Claim(expected=f"{higher} is {'about as good as' if alike else 'better than'} {lower}", higher=higher, lower=lower, alike=alike)
        for higher, lower, alike in [(*pair, pair == ordered[-1]) for pair in ordered if per_query.keys() >= set(pair)]
    ]
    seeds = {name: told["RR@10"] for name, told in numbers.items() if "RR@10" in told}
    return tested(per_query, claims, seeds)


def tested(
    per_query: Mapping[str, pd.DataFrame], claims: Sequence[Claim], seeds: Mapping[str, Sequence[float]] = MappingProxyType({})
) -> list[Outcome]:
    """Test claims by paired t-tests over queries, Holm-corrected over all of them.

    Args:
        per_query: by system, a value for each query, a frame of one column as ``evaluate`` returns it; all over the same queries.
        claims: about pairs of them.
        seeds: by system, its mean under each seed; that one is higher counts only if it is so under all, and holds only under several.
    """
    rows = compare_pairs(per_query, [(claim.higher, claim.lower) for claim in claims]).to_dict("records")
    outcomes = []
    for claim, row in zip(claims, rows, strict=True):
        means = [per_query[name][row["measure"]].mean() for name in (claim.higher, claim.lower)]
        gains = [one - other for one, other in zip(seeds.get(claim.higher, ()), seeds.get(claim.lower, ()), strict=True)]
        same = sum(gain * row["difference"] > 0 for gain in gains)
        counts = claim.alike or same == len(gains)
        outcomes.append(
            Outcome(
                expected=claim.expected,
                verdict=verdict_of(row["difference"], row["p_corrected"] if counts else 1.0, alike=claim.alike, seeds=len(gains)),
                figures=f"{row['measure']} {means[0]:.4f} and {means[1]:.4f}, difference {row['difference']:+.4f}, "
                f"p {row['p_corrected']:.2g} of a paired t-test over {len(per_query[claim.higher]):,} queries, "
                f"Holm-corrected over {len(claims)}" + (f"; of this sign under {same} of {len(gains)} seeds" if len(gains) else ""),
            )
        )
    return outcomes


def compared(evaluation: Mapping[str, Any], system: str, measure: str, expected: str) -> Outcome:
    """What an evaluation with a baseline says of the claim that a system is above it.

    Args:
        evaluation: as ``Evaluation.to_json`` returns it.
        system: the one.
        measure: in which.
        expected: the claim, a sentence.
    """
    row, systems = evaluation["systems"][system]["comparison"][measure], evaluation["systems"]
    means = [systems[name]["measures"][measure] for name in (system, evaluation["baseline"])]
    tests = sum(len(told.get("comparison", ())) for told in systems.values())
    return Outcome(
        expected=expected,
        verdict=verdict_of(row["difference"], row["p_corrected"]),
        figures=f"{measure} {means[0]:.4f} and {means[1]:.4f}, difference {row['difference']:+.4f}, p {row['p_corrected']:.2g} of a paired "
        f"t-test over {evaluation['queries']:,} queries, Holm-corrected over {tests}",
    )


def verdict_of(difference: float, p: float, *, alike: bool = False, seeds: int = 1) -> Verdict:
    """What a test over queries says of the claim that a difference is above 0, or that there is none.

    Args:
        difference: what was found.
        p: its probability by chance.
        alike: whether the claim is that there is none.
        seeds: with which the models were trained, and under each of which the difference has its sign.
    """
    if not p < SIGNIFICANT:
        return "no significant difference"
    return pointing(difference > 0 and not alike, seeds > 1)


def pointing(claimed_way: bool, confirmed: bool) -> Verdict:
    """The verdict on a claim by figures that point one way, and by whether enough of them do."""
    if not claimed_way:
        return "does not hold"
    return "holds" if confirmed else "as in the paper"


def _norms(numbers: Numbers) -> list[Outcome]:
    """ANCE's gradient norms lie far above those of random and in-batch negatives (figure 8)."""
    outcomes = []
    for ance in ANCE:
        for other in ("random", "in-batch"):
            if "grad_norm_end" not in numbers.get(ance, {}) or "grad_norm_end" not in numbers.get(other, {}):
                continue
            large, small = np.array(numbers[ance]["grad_norm_end"]), np.array(numbers[other]["grad_norm_end"])
            seeds, apart = min(len(large), len(small)), large.min() > small.max() or small.min() > large.max()
            ratio = float(large.mean() / small.mean()) if small.mean() else float("inf")
            verdict = pointing(ratio >= FAR, seeds >= SEEDS)
            if seeds == 1:
                verdict = "not testable here"
            elif not apart:
                verdict = "no significant difference"
            outcomes.append(
                Outcome(
                    expected=f"the gradient norms of {ance} lie far above those of {other} (at least {FAR:g} times as large)",
                    verdict=verdict,
                    figures=f"{large.mean():.3g} and {small.mean():.3g} over the last quarter, {ratio:.3g} times as large; "
                    + ("one seed" if seeds == 1 else f"the means of {seeds} seeds {'do not mix' if apart else 'mix'}"),
                )
            )
    return outcomes


def overlaps(numbers: Numbers, documents: int, seeds: Mapping[str, int] = MappingProxyType({})) -> list[Outcome]:
    """Of random negatives about none are among what the trained model ranks first, of ANCE's most (figure 7), under each seed.

    Args:
        numbers: ``overlap`` of those that were trained.
        documents: of the corpus.
        seeds: by system, under how many seeds its values are; by default under one each.
    """
    outcomes = []
    for name in ("random", *ANCE):
        if "overlap" not in numbers.get(name, {}):
            continue
        shares = numbers[name]["overlap"]
        share, few = float(np.mean(shares)), name == "random"
        ways = {one < FEW if few else one >= MANY for one in shares}
        under = seeds.get(name, len(shares))
        chance = f"; {100 / documents:.1%} of the corpus are 100 documents" if few else ""
        outcomes.append(
            Outcome(
                expected=f"{'about none' if few else 'most'} of the negatives of {name} are among the trained model's first 100 documents",
                verdict=pointing(ways.pop(), under >= SEEDS) if len(ways) == 1 else "no significant difference",
                figures=f"{share:.1%}, expected {'below' if few else 'at least'} {FEW if few else MANY:.0%}{chance}; "
                + ("one seed" if len(shares) == 1 else f"{under} seeds" if under > 1 else "runs that differ in more than the seed"),
            )
        )
    return outcomes
