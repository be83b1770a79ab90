"""Answer matching, exact match and F1 for open-domain question answering.

Matching follows DPR (Karpukhin et al., 2020), exact match and F1 follow SQuAD (Rajpurkar et al., 2016).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import regex

_TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_tokens(text: str) -> str:
    """The tokens of a text (runs of letters, digits and marks, or other single characters), NFD, lower-cased, each between two spaces.

    ``answer in text`` of two such strings tells whether the answer's tokens occur in the text, one after the other.
    """
    tokens = _TOKEN.findall(unicodedata.normalize("NFD", text))
    return f" {' '.join(tokens)} ".lower() if tokens else ""


class Answers:
    """The answers to a question; finds them in texts.

    Args:
        answers: strings, each of them right. One without a token is in no text.
        patterns: whether they are regular expressions, which ignore case and read line by line; an invalid one never matches.
    """

    def __init__(self, answers: Sequence[str], *, patterns: bool = False) -> None:
        self._tokens = [] if patterns else [tokens for tokens in map(answer_tokens, answers) if tokens]
        self._patterns = [compiled for answer in answers if (compiled := _pattern(answer))] if patterns else []

    def are_in(self, text: str) -> bool:
        """Whether a text contains one of them."""
        if self._patterns:
            text = unicodedata.normalize("NFD", text)
            return any(pattern.search(text) for pattern in self._patterns)
        return bool(self._tokens) and self.are_in_tokens(answer_tokens(text))

    def are_in_tokens(self, tokens: str) -> bool:
        """Whether ``answer_tokens`` of a text contain one of them; never for patterns."""
        return any(answer in tokens for answer in self._tokens)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Their places in a text: half-open ranges of characters, each once, ascending, none empty."""
        if not self.are_in(text):
            return []
        normal = unicodedata.normalize("NFD", text)
        origin = [place for place, character in enumerate(text) for _ in unicodedata.normalize("NFD", character)]
        matches = (match.span() for pattern in self._patterns for match in pattern.finditer(normal))
        found = list(matches) if self._patterns else self._find_tokens(normal)
        return sorted({(origin[start], origin[end - 1] + 1) for start, end in found if start < end})

    def _find_tokens(self, normal: str) -> list[tuple[int, int]]:
        """Ranges in a text that is in NFD."""
        spans = [match.span() for match in _TOKEN.finditer(normal)]
        words = [normal[start:end].lower() for start, end in spans]
        found = []
        for answer in (tokens.split() for tokens in self._tokens):
            starts = (i for i, word in enumerate(words) if word == answer[0] and words[i : i + len(answer)] == answer)
            found += [(spans[i][0], spans[i + len(answer) - 1][1]) for i in starts]
        return found


@cache
def _pattern(answer: str) -> Any:
    """A compiled regular expression, or ``None`` if it is invalid; by Python's ``re``, for which these collections were made."""
    try:
        return re.compile(unicodedata.normalize("NFD", answer), re.IGNORECASE | re.UNICODE | re.MULTILINE)
    except (re.error, OverflowError, RecursionError):
        return None


def is_pattern(answer: str) -> bool:
    """Whether an answer is a regular expression that can match."""
    return _pattern(answer) is not None


def normalize_answer(answer: str) -> str:
    """An answer as SQuAD compares it: lower case, without punctuation, articles and superfluous white space."""
    return " ".join(_ARTICLE.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, answers: Sequence[str]) -> float:
    """1 if an answer equals one of the right ones, normalised; 0 otherwise."""
    given = normalize_answer(answer)
    return float(any(given == normalize_answer(right) for right in answers))


def f1(answer: str, answers: Sequence[str]) -> float:
    """Harmonic mean of the precision and recall of an answer's words, normalised; the best over the right answers."""
    return max((_f1(normalize_answer(answer).split(), normalize_answer(right).split()) for right in answers), default=0.0)


def _f1(given: list[str], right: list[str]) -> float:
    if not given or not right:
        return float(given == right)
    common = (Counter(given) & Counter(right)).total()
    return 2 * common / (len(given) + len(right))
