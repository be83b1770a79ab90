"""Answers in texts, and answers compared."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from ance_ir.answers import Answers, answer_tokens, exact_match, f1


@pytest.mark.parametrize(
    ("text", "answers", "found"),
    [
        ("Paris is the capital of France.", ["paris"], True),
        ("the art of comparison", ["paris"], False),
        ("He paid $5.00, they say.", ["$5.00"], True),
        ("He paid $5.000, they say.", ["$5.00"], False),
        ("born in 1879 in Ulm", ["Ulm, Germany", "1879 in"], True),
        (unicodedata.normalize("NFC", "Café de Flore"), [unicodedata.normalize("NFD", "café")], True),
        ("Café de Flore", ["cafe"], False),
        ("one\ntwo\u00a0three", ["two three"], True),
        ("", ["anything"], False),
        ("anything", ["", " \n "], False),
        ("anything", [], False),
        ("日本語の本", ["日本語の本"], True),
        ("new-york", ["new york"], False),
        ("İstanbul", ["i\u0307stanbul"], True),
    ],
)
def test_answers_in_texts(text: str, answers: list[str], found: bool) -> None:
    assert Answers(answers).are_in(text) == found


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [("It was 1969.", r"19\d\d", True), ("MOON", "moon", True), ("a\nmoon", "^moon$", True), ("a", "(", False), ("(", "(", False)],
)
def test_patterns(text: str, pattern: str, found: bool) -> None:
    assert Answers([pattern], patterns=True).are_in(text) == found


def test_matching_against_token_lists() -> None:
    """Beside the rule written out: the answer's tokens at some place of the text's."""
    import regex

    def tokens(text: str) -> list[str]:
        return [token.lower() for token in regex.findall(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]", unicodedata.normalize("NFD", text))]

    rng = np.random.default_rng(0)
    alphabet = list("aaabB1é.,-  \n\u200bß")
    found = 0
    for _ in range(3000):
        text, answer = ("".join(rng.choice(alphabet, rng.integers(1, length))) for length in (30, 5))
        read, asked = tokens(text), tokens(answer)
        expected = bool(asked) and any(asked == read[i : i + len(asked)] for i in range(len(read) - len(asked) + 1))
        assert Answers([answer]).are_in(text) == expected
        found += expected
    assert 300 < found < 2700


@pytest.mark.parametrize(
    ("given", "answers", "exact", "overlap"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1, 1),
        ("tower", ["eiffel tower", "the tower bridge"], 0, 2 / 3),
        ("a b b", ["b b b c"], 0, 2 * 2 / 6),
        ("the", ["a"], 1, 1),
        ("the", ["cat"], 0, 0),
        ("cat", [], 0, 0),
    ],
)
def test_exact_match_and_f1(given: str, answers: list[str], exact: float, overlap: float) -> None:
    assert exact_match(given, answers) == exact
    assert f1(given, answers) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("answers", "text", "found"),
    [
        (["king"], "The King and a kingdom; king!", ["King", "king"]),
        (["new york", "york"], "New  York's", ["New  York", "York"]),
        (["zoë"], "Zoe\u0308 met Zoë, not Zoe.", ["Zoe\u0308", "Zoë"]),
        (["1,000"], "in 1,000 or 1 , 000", ["1,000", "1 , 000"]),
        (["", "?!"], "no answer", []),
        (["a a"], "a a a", ["a a", "a a"]),
    ],
)
def test_where_answers_stand(answers: list[str], text: str, found: list[str]) -> None:
    asked = Answers(answers)
    assert [text[start:end] for start, end in asked.find(text)] == found
    assert bool(found) == asked.are_in(text)


def test_where_patterns_match() -> None:
    text = "in 1999, in 20\u0308"
    assert [text[start:end] for start, end in Answers([r"\d{4}", r"x*", "("], patterns=True).find(text)] == ["1999"]


def test_answers_stand_somewhere_in_just_the_texts_that_hold_them() -> None:
    generator = np.random.default_rng(0)
    letters = ["a", "b", "É", "E\u0301", " ", "-", "日", "\u0307", "İ", "."]
    for _ in range(500):
        text, *answers = ("".join(generator.choice(letters, size)) for size in (12, 1, 2, 3))
        asked = Answers(answers)
        ranges = asked.find(text)
        assert bool(ranges) == asked.are_in(text)
        assert all(0 <= start < end <= len(text) for start, end in ranges)
        assert all(answer_tokens(text[start:end]).strip() for start, end in ranges)
