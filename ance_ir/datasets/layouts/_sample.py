"""What a record of a training file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Passage = tuple[str, str, str]
"""Docno, title and text; the docno is empty where the file has none."""


class Sample(NamedTuple):
    """What a record holds.

    Attributes:
        query: its text.
        positives: passages that answer it.
        negatives: passages that do not, hard ones first.
        qid: empty where the file has none.
        positive_scores: of all positives, or none.
        negative_scores: of all negatives, or none.
        prompt: the instruction that belongs to the query.
        answers: to the question.
        margins: whether scores are by how much they lie above that of the only positive, which therefore has 0.
    """

    query: str
    positives: Sequence[Passage]
    negatives: Sequence[Passage] = ()
    qid: str = ""
    positive_scores: Sequence[float] = ()
    negative_scores: Sequence[float] = ()
    prompt: str = ""
    answers: Sequence[str] = ()
    margins: bool = False
