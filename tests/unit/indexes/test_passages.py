from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest

from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow, parse_passages
from ance_ir.models import PassageScheme
from ance_ir.registries import PASSAGES
from tests.tiny import WORDS, static


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("firstp", FirstP()),
        ("firstp:128", FirstP(128)),
        ("maxp", MaxP()),
        ("maxp:,3", MaxP(count=3)),
        (" MaxP:512 ", MaxP(512, 4)),
        ("maxp:512,8", MaxP(512, 8)),
        ("sliding:256,128", SlidingWindow(256, 128)),
    ],
)
def test_a_scheme_from_the_command_line(text: str, scheme: PassageScheme) -> None:
    assert parse_passages(text) == scheme
    assert parse_passages(str(scheme)) == scheme


@pytest.mark.parametrize("text", ["", "maxp:", "maxp:a", "maxp:1,2,3", "lastp", "firstp(3)", "maxp:-3"])
def test_what_is_no_scheme_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        parse_passages(text)


@pytest.mark.parametrize("name", PASSAGES)
def test_every_scheme_is_complete(name: str) -> None:
    """It is read from its name alone and with all numbers, is written and shown as it was made, and covers the text; help names it."""
    kind = PASSAGES[name]
    parameters = list(inspect.signature(kind).parameters)
    numbers = [8, *range(2, len(parameters) + 1)]
    text = f"{name}:{','.join(map(str, numbers))}"
    assert PASSAGES.summary(name).startswith(f"{name}[:{','.join(parameters).upper()}] ")
    for scheme in (kind(), kind(*numbers)):
        assert parse_passages(str(scheme)) == scheme == eval(repr(scheme), {kind.__name__: kind})
    assert str(kind(*numbers)) == text
    assert kind() != kind(*numbers)
    assert kind().windows(0, 5) == []
    windows = kind(*numbers).windows(7, 5)
    assert windows[0] == (0, 5)
    assert all(0 <= start < end <= 7 and end - start <= 5 for start, end in windows)
    with pytest.raises(UsageError, match=f"{len(parameters)} .*{len(numbers) + 1}"):
        parse_passages(f"{text},9")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FirstP(2), "length .* 2"),
        (lambda: MaxP(0), "length .* 0"),
        (lambda: MaxP(8, 0), "count .* 0"),
        (lambda: SlidingWindow(8, 0), "stride .* 0"),
        (lambda: parse_passages("firstp:128,2"), "firstp .*1 .*2"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(make: Callable[[], PassageScheme], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("name", PASSAGES)
def test_a_document_without_tokens_is_a_passage(name: str) -> None:
    """Also where the tokeniser adds no special ones."""
    vectors, counts = static().encode_documents(["", " ".join(WORDS * 4), ""], PASSAGES[name]())
    assert counts[0] == counts[2] == 1 <= counts[1]
    assert vectors.shape[0] == counts.sum()
