"""A reader without a model: a baseline for trained ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ance_ir.models import Readings
from ance_ir.models.compute.inference import Progress

_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")


class NearestName:
    """Answers with the name or number that stands nearest to the question's words.

    Candidates are runs of words that have a digit, or a capital and do not begin a sentence, and are not in the question. One scores the
    sum of 1 / distance (in words) over the passage's words that are in the question. The relevance of a passage is how many different
    words of the question it has.
    """

    fingerprint = "nearest-name"
    """There is nothing in it that could differ."""

    def read(
        self, questions: Sequence[str], texts: Sequence[str], titles: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Readings:
        """See ``Reader.read``; titles are not looked at."""
        found = [_read(question, text) for question, text in zip(questions, texts, strict=True)]
        if progress is not None:
            progress(len(found))
        scores, relevance = (np.array([row[column] for row in found], dtype=np.float32) for column in (1, 2))
        return Readings(answers=[row[0] for row in found], scores=scores, relevance=relevance)


def _read(question: str, text: str) -> tuple[str, float, float]:
    """The best answer in a passage, its score, and the passage's relevance."""
    asked = {word.lower() for word in _WORD.findall(question)}
    words = list(_WORD.finditer(text))
    shared = np.array([place for place, word in enumerate(words) if word[0].lower() in asked], dtype=float)
    best, score = "", -np.inf
    for first, last in _runs(text, words, asked):
        distances = np.where(shared < first, first - shared, shared - last)
        nearness = float((1 / distances).sum())
        if nearness > score:
            best, score = text[words[first].start() : words[last].end()], nearness
    return best, score, float(len({words[int(place)][0].lower() for place in shared})) if best else -np.inf


def _runs(text: str, words: Sequence[re.Match[str]], asked: set[str]) -> list[tuple[int, int]]:
    """First and last place of the candidates."""
    ends = [0, *(word.end() for word in words)]
    begins = [end == 0 or bool(set(text[end : word.start()]) & set(".?!")) for end, word in zip(ends, words, strict=False)]
    is_name = [
        word[0].lower() not in asked and (any(map(str.isdigit, word[0])) or (any(map(str.isupper, word[0])) and not first))
        for word, first in zip(words, begins, strict=True)
    ]
    starts = [i for i, name in enumerate(is_name) if name and not (i and is_name[i - 1])]
    lasts = [i for i, name in enumerate(is_name) if name and not (i + 1 < len(words) and is_name[i + 1])]
    return list(zip(starts, lasts, strict=True))
