from __future__ import annotations

from collections.abc import Callable

import pytest

from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow, parse_passages
from ance_ir.models import PassageScheme


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
    with pytest.raises(UsageError, match=r"passages are firstp\[:LENGTH\]"):
        parse_passages(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FirstP(2), "length .* 2"),
        (lambda: MaxP(0), "length .* 0"),
        (lambda: MaxP(8, 0), "count .* 0"),
        (lambda: SlidingWindow(8, 0), "stride .* 0"),
        (lambda: parse_passages("firstp:128,2"), "firstp takes 1 number, not 2"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(make: Callable[[], PassageScheme], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
