"""A few words of a document around those of the query."""

from __future__ import annotations

import re
from collections.abc import Sequence

LENGTH = 240
"""Characters of a snippet, without the dots."""
_LOOKED_AT = 50_000
_MATCHES = 500
_WORD = re.compile(r"\w+")


def snippet(text: str, query: str, start: int = 0, end: int | None = None) -> str:
    """The part of a text that has most of a query's words; its beginning where none occurs. White space becomes blanks.

    Args:
        text: the whole text.
        query: its words are sought, in any case, the beginnings of longer words included.
        start: where in the text to look, in characters.
        end: up to where.
    """
    end = min(len(text) if end is None else end, start + _LOOKED_AT)
    first = _best_place(text, query, start, end)
    last = min(first + LENGTH, end)
    if first > start:
        first = _after_blank(text, first, last)
    if last < len(text):
        last = _before_blank(text, first, last)
    shown = " ".join(text[first:last].split())
    return f"{'… ' if first > 0 else ''}{shown}{' …' if last < len(text.rstrip()) else ''}"


def _best_place(text: str, query: str, start: int, end: int) -> int:
    """The beginning of the window with most distinct words of the query, the first of several."""
    words = sorted({word.lower() for word in _WORD.findall(query) if len(word) > 1}, key=len, reverse=True)[:64]
    if not words:
        return start
    matches = _matches(text, words, start, end)
    best, most, after, distinct = start, 0, 0, 0
    held = dict.fromkeys(words, 0)  # how often the window that begins with a match has each
    for begin, word in matches:
        while after < len(matches) and matches[after][0] < begin + LENGTH * 3 // 4:
            entering = matches[after][1]
            distinct += not held[entering]
            held[entering] += 1
            after += 1
        if distinct > most:
            best, most = begin, distinct
        held[word] -= 1
        distinct -= not held[word]
    return max(start, min(best - LENGTH // 8, end - LENGTH))


def _matches(text: str, words: Sequence[str], start: int, end: int) -> list[tuple[int, str]]:
    """Where words begin with those sought, the longest of these first, and which; the first places.

    Each is searched by itself: on texts of a few thousand characters that is many times as fast as one pattern of all.
    """
    lower = text[:end].lower()
    if len(lower) != end:  # a few characters are two in lower case
        lower = "".join(one if len(one.lower()) > 1 else one.lower() for one in text[:end])
    found: dict[int, str] = {}
    for word in words:
        at = lower.find(word, start)
        while at >= 0:
            if at == 0 or not (lower[at - 1].isalnum() or lower[at - 1] == "_"):
                found.setdefault(at, word)
            at = lower.find(word, at + len(word))
    return sorted(found.items())[:_MATCHES]


def _after_blank(text: str, first: int, last: int) -> int:
    blank = text.find(" ", first, min(first + LENGTH // 8, last))
    return first if blank < 0 else blank + 1


def _before_blank(text: str, first: int, last: int) -> int:
    blank = text.rfind(" ", max(first, last - LENGTH // 8), last + 1)
    return last if blank <= first else blank
