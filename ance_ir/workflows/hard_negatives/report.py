"""What is said of a mining: what each filter took, what is too little, what looks like an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ance_ir.datasets.screening import Document
from ance_ir.indexes.mining.filters import FILTERS
from ance_ir.workflows.hard_negatives.blocks import COUNTS

NEAREST = 100
"""How many suspects are kept."""

_TAKERS = {
    "excluded": "positives and their duplicates",
    "skip": "skip",
    "max_score": "max-score",
    "margin": "margin",
    "relative_margin": "relative-margin",
    "teacher": "filter-teacher",
}


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A negative that scores near its query's best positive, or above it.

    Attributes:
        qid: of the query.
        query: its text.
        positive: the positive that scores best.
        negative: the negative that scores best.
        positive_score: the system's.
        negative_score: likewise.
    """

    qid: str
    query: str
    positive: Document
    negative: Document
    positive_score: float
    negative_score: float

    @property
    def gap(self) -> float:
        """By how much the negative scores above the positive."""
        return self.negative_score - self.positive_score

    def __str__(self) -> str:
        lines = [f"query {self.qid}: {self.query}"]
        for name, document, score in (
            ("positive", self.positive, self.positive_score),
            ("negative", self.negative, self.negative_score),
        ):
            text = " ".join(f"{document.get('title', '')} {document['text']}".split())
            lines.append(f"  {name} {score:.4g}  {document['docno']}: {text[:160]}{'…' if len(text) > 160 else ''}")
        return "\n".join(lines)


@dataclass(kw_only=True)
class MiningReport:
    """What is said of a mining, complete when all its records have been read.

    Attributes:
        asked: the number of negatives for each query that was asked for.
        queries: queries that were mined for.
        records: queries that have a record.
        negatives: negatives of all records.
        fewer: records with fewer negatives than asked for.
        left_out: queries without a record because they have too few negatives.
        taken: how many documents of the rankings were taken: ``excluded`` (positives and their duplicates), ``skip``, and each of
            ``FILTERS``; one that several would take counts for the first.
        candidates: how many were left to draw from.
        positives: positives of all queries.
        unscored: how many of these the system does not score.
        without_score: queries none of whose positives it scores; margins do not apply to them.
        dropped: with scores, queries without a record because none of their positives has one.
        suspected: negatives that score at least as high as their query's best positive.
        suspects: of queries whose best negative scores nearest to the best positive or above it, at most ``NEAREST``, worst first.
        compared: queries that have negatives in the other mining, too.
        overlap: of these queries' negatives, the share that the other mining has; mean over queries.
    """

    asked: int
    queries: int = 0
    records: int = 0
    negatives: int = 0
    fewer: int = 0
    left_out: int = 0
    taken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("excluded", "skip", *FILTERS), 0))
    candidates: int = 0
    positives: int = 0
    unscored: int = 0
    without_score: int = 0
    dropped: int = 0
    suspected: int = 0
    suspects: list[Suspect] = field(default_factory=list)
    compared: int = 0
    overlap: float = 0.0

    def count(self, counts: np.ndarray) -> None:
        """Add the counts of a block."""
        found = dict(zip(COUNTS, counts.tolist(), strict=True))
        for name in self.taken:
            self.taken[name] += found[name]
        self.candidates += found["considered"] - sum(found[name] for name in FILTERS)

    def suspect(self, found: Sequence[Suspect]) -> None:
        """Add suspects; those that score highest above the positive stay."""
        self.suspects = sorted([*self.suspects, *found], key=lambda one: -one.gap)[:NEAREST]

    def compare(self, shares: Sequence[float]) -> None:
        """Add shares of queries' negatives that the other mining has."""
        if shares:
            total = self.compared + len(shares)
            self.overlap = (self.overlap * self.compared + sum(shares)) / total
            self.compared = total

    def lines(self) -> list[str]:
        """What is said, in lines."""
        mean = self.negatives / max(1, self.records)
        taken = ", ".join(f"{_TAKERS[name]} {count:,}" for name, count in self.taken.items() if count) or "nothing"
        lines = [
            f"{self.records:,} of {self.queries:,} queries have negatives: {self.negatives:,}, {mean:.2f} a query",
            f"taken out of the rankings: {taken}; {self.candidates:,} candidates left",
        ]
        if self.fewer or self.left_out:
            short = self.fewer + self.left_out
            lines.append(f"{short:,} queries have fewer than {self.asked} negatives; {self.left_out:,} of them are left out")
        if self.unscored:
            lines.append(
                f"the system does not score {self.unscored:,} of {self.positives:,} positives; "
                f"{self.without_score:,} queries have none with a score, and margins do not apply to them"
            )
        if self.dropped:
            lines.append(f"{self.dropped:,} queries are left out because none of their positives has a score")
        share = self.suspected / max(1, self.negatives)
        lines.append(f"suspected false negatives: {self.suspected:,} ({share:.1%}) score at least as high as the best positive")
        if self.compared:
            lines.append(
                f"overlap: {self.overlap:.1%} of the negatives are in the other mining, mean over {self.compared:,} queries of both"
            )
        return lines
