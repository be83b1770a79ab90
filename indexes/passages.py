"""How documents are cut into passages: FirstP, MaxP (paper, section 3.1), sliding window.

A scheme says how; the encoder, which owns the tokeniser, cuts. In a pipeline the scheme comes before the encoder::

    MaxP(512, 4) >> model.passages() >> AnceIndex("documents.ance")

Lengths are tokens of a passage, its special tokens counted; without one, the model's own passage length holds.
"""

from __future__ import annotations

import re
from typing import ClassVar

import pandas as pd
import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.models import PassageScheme
from ance_ir.models.compute.batching import WINDOW
from ance_ir.settings import integer, integer_or_none


class _Scheme(pt.Transformer):
    """As a transformer, a scheme hands itself to the encoder in the column ``passages``.

    Unlike other transformers, schemes are equal if they cut alike: an index keeps the text form of its scheme, and compares it with others.
    """

    whole = False
    batch_size = WINDOW
    length = integer_or_none(3)
    """Special tokens counted."""

    def __init__(self, length: int | None) -> None:
        self.length = length

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Add the column ``passages``: this scheme, on every row."""
        pt.validate.columns(inp, includes=["docno", "text"])
        return inp.assign(passages=pd.Series([self] * len(inp), index=inp.index, dtype=object))

    def __str__(self) -> str:
        """What ``parse_passages`` reads."""
        name = next(name for name, (kind, _) in _NAMES.items() if type(self) is kind)
        numbers = re.findall(r"\d+|None", repr(self))
        written = ",".join("" if number == "None" else number for number in numbers)
        return f"{name}:{written}" if written else name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


class FirstP(_Scheme):
    """The document's first tokens are its only passage."""

    schematic: ClassVar[dict[str, str | None]] = {"label": "FirstP", "help_url": None}

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """The first ``room`` tokens."""
        return [(0, min(tokens, room))] if tokens else []

    def __repr__(self) -> str:
        return "FirstP()" if self.length is None else f"FirstP({self.length})"


class MaxP(_Scheme):
    """The document's first tokens in up to ``count`` passages that do not overlap; the last one may be shorter.

    A document scores as its best passage. The model's ``max_characters`` cuts the text first; raise it for more than about 2,000 tokens.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "MaxP", "help_url": None}
    count = integer(1)

    def __init__(self, length: int | None = None, count: int = 4) -> None:
        super().__init__(length)
        self.count = count

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """The first ``count × room`` tokens, cut every ``room``."""
        return [(start, min(start + room, tokens)) for start in range(0, min(tokens, self.count * room), room)]

    def __repr__(self) -> str:
        return f"MaxP({self.length}, {self.count})"


class SlidingWindow(_Scheme):
    """The whole document in overlapping passages, one every ``stride`` tokens; the last one may be shorter."""

    schematic: ClassVar[dict[str, str | None]] = {"label": "Sliding window", "help_url": None}
    whole = True
    stride = integer(1)

    def __init__(self, length: int | None = None, stride: int = 64) -> None:
        super().__init__(length)
        self.stride = stride

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """Windows of ``room`` tokens until one reaches the end; text between windows is never skipped."""
        stride = min(self.stride, room)
        starts = range(0, max(tokens - room, 0) + stride, stride) if tokens else ()
        return [(start, min(start + room, tokens)) for start in starts]

    def __repr__(self) -> str:
        return f"SlidingWindow({self.length}, {self.stride})"


_NAMES = {"firstp": (FirstP, 1), "maxp": (MaxP, 2), "sliding": (SlidingWindow, 2)}


def parse_passages(text: str) -> PassageScheme:
    """A scheme from its name on the command line: ``firstp``, ``firstp:128``, ``maxp:512,4``, ``sliding:256,128``."""
    match = re.fullmatch(r"(\w+)(?::(?=.*\d)(\d{0,9})(?:,(\d{1,9}))?)?", text.strip().lower())
    if not match or match[1] not in _NAMES:
        raise UsageError(f"passages are firstp[:LENGTH], maxp[:LENGTH,COUNT] or sliding[:LENGTH,STRIDE], not {text!r}")
    kind, most = _NAMES[match[1]]
    numbers = [int(number) if number else None for number in match.groups()[1:] if number is not None]
    if len(numbers) > most:
        raise UsageError(f"{match[1]} takes {most} number, not {len(numbers)}: {text!r}")
    scheme: PassageScheme = kind(*numbers)
    return scheme
