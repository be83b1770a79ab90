"""The base of passage schemes.

A scheme sees numbers of tokens alone. One that needs the text changes ``PassageScheme`` (``ance_ir.models.text.settings``) and
``TextTokenizer.cut`` (``ance_ir.models.text.tokenizing``), which does the cutting, as well.
"""

from __future__ import annotations

import inspect

import pandas as pd
import pyterrier as pt

from ance_ir.models.compute.batching import WINDOW
from ance_ir.settings import integer_or_none


class Scheme(pt.Transformer):
    """A ``PassageScheme``. As a transformer, it hands itself to the encoder in the column ``passages``.

    A scheme is the class ``SCHEME`` of a module of this package. Its constructor takes numbers, the length first, and keeps each under the
    name of its parameter; the name that ``parse_passages`` reads is the module's. Unlike other transformers, schemes are equal if they cut
    alike: an index keeps the text form of its scheme, and compares it with others.
    """

    whole = False
    special_once = False
    batch_size = WINDOW
    length = integer_or_none(3)
    """Tokens of a passage, special tokens included."""

    def __init__(self, length: int | None) -> None:
        self.length = length

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Add the column ``passages``: this scheme, on every row."""
        pt.validate.columns(inp, includes=["docno", "text"])
        return inp.assign(passages=pd.Series([self] * len(inp), index=inp.index, dtype=object))

    def _numbers(self) -> list[int | None]:
        """The constructor's arguments; none where the only one is ``None``."""
        numbers = [getattr(self, name) for name in inspect.signature(type(self)).parameters]
        return [] if numbers == [None] else numbers

    def __str__(self) -> str:
        """The text that ``parse_passages`` reads."""
        name = type(self).__module__.rpartition(".")[2]
        numbers = ",".join("" if number is None else str(number) for number in self._numbers())
        return f"{name}:{numbers}" if numbers else name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self._numbers()))})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))
