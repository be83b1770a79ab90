"""Parses the text of a system, or of a mixture of negatives, into its tree.

::

    system := [NAME "="] chain
    chain  := sum (">>" sum)*
    sum    := term ("+" term)*
    term   := [NUMBER "*"] unit ["%" K]
    unit   := STAGE ["[" name=value (";" name=value)* "]"] | "(" chain ")" | FUNCTION "(" chain ("," chain)* ")"
    mixture := "mix" "(" chain ("," chain)* ")" | chain

A NUMBER before a system in a mixture is its weight in the mixture. ``term "+" term`` alone is a mixture too, in the older notation.

``%`` binds tighter than ``*``, so that a fusion sees the weight; both bind tighter than ``+``, and that tighter than ``>>``.
A STAGE is, in this order,

1. a path in quotes: ``"my indexes/x.ance"``;
2. the longest name of a stage or system: ``bm25+dpr``;
3. what stands before the next blank or sign: a path if it has a separator or a known ending (``runs/bert``, ``./bert``, ``x.ance``).

For one release more another word is a path if it is on disk, and signs may belong to it; a FutureWarning says what to write.

NAME is all before a ``=``, if it has no quote and none of ``> % / [`` in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn

from ance_ir.errors import PointedError
from ance_ir.files import as_path
from ance_ir.pipelines.fusion import FUSIONS
from ance_ir.pipelines.systems.tree import MIX, Call, Chain, Cut, Mixture, Node, Option, Source, Stage, Sum, System, Weighted
from ance_ir.pipelines.systems.words import SIGN, end_on_disk, is_path, warn_of_form, word_ends

BM25 = "bm25"
FUNCTIONS = (*FUSIONS, MIX)

_NAME = re.compile(r"([^=>%/[\"']*[^=>%/[\"'\s])\s*=")
_WEIGHT = re.compile(r"(\d++(?:\.\d*+)?|\.\d++)\s*+\*")  # possessive: thousands of digits without a sign behind them take no longer
_CALL = re.compile(rf"({'|'.join(FUNCTIONS)})\s*\(", re.IGNORECASE)
_DEPTH = re.compile(r"\d{1,18}(?![^\s>%*+()\[\],;=\"'])")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*")
_VALUE = re.compile(r"[^;\]]+")


def parse(text: str, names: Collection[str] = ()) -> System:
    """Read a system.

    Args:
        text: the system.
        names: the names of stages and systems, which may have signs in them.

    Raises:
        PointedError: the text is no system; the message has what was expected, and where.
    """
    return _Parser(text, names).system()


def parse_mixture(text: str, names: Collection[str] = ()) -> Mixture:
    """Read a mixture; a system alone is a mixture of one.

    Args:
        text: the mixture.
        names: the names of stages and systems, which may have signs in them.

    Raises:
        PointedError: the text is no mixture; the message has what was expected, and where.
    """
    parser = _Parser(text, names)
    try:
        return parser.mixture()
    except RecursionError:
        parser.fail_of_depth()


class _Parser:
    """Recursive descent: each method reads one rule of the grammar from ``place`` on, and leaves ``place`` behind it."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text = text
        self.names = {BM25, *names}
        self.place = 0
        self.splits = False  # whether + outside brackets separates sources, even within a name: bm25+dpr

    def mixture(self) -> Mixture:
        self._skip()
        call = _CALL.match(self.text, self.place)
        if call and call[1].lower() == MIX:
            self.place = call.end()
            sources = [self._source(self.chain)]
            while self._take(","):
                sources.append(self._source(self.chain))
            self._close("expected , or )")
            self._skip()
            if self.place < len(self.text):
                self._fail("expected the end")
            return Mixture(tuple(sources), bare=False)
        start, self.splits = self.place, True
        sources = [self._source(self.term)]
        while self._take("+"):
            sources.append(self._source(self.term))
        self.splits = False
        if self.place < len(self.text):  # not a sum of sources, but one system
            self.place = start
            sources = [self._source(self.chain)]
            if self.place < len(self.text):
                self._fail("expected >>, +, %, [ or the end")
        return Mixture(tuple(sources), bare=len(sources) > 1)

    def _source(self, rule: Callable[[], Node]) -> Source:
        self._skip()
        start = self.place
        before = _WEIGHT.match(self.text, start)
        tree, weight = rule(), 1.0
        if before and isinstance(tree, Weighted):
            start, weight, tree = before.end(), tree.weight, tree.system
        if isinstance(tree, Weighted):
            raise PointedError("a weight stands before the brackets, as in 2*(a >> b)", self.text, tree.place)
        return Source(weight, tree, self.text[start : self.place].strip())

    def system(self) -> System:
        name = _NAME.match(self.text)
        self._skip()
        if name and self._end_of_name() <= name.end() - 1:
            self.place = name.end()
        else:
            name = None
        self._skip()
        start = self.place
        try:
            tree = self.chain()
        except RecursionError:
            self.fail_of_depth()
        if self.place < len(self.text):
            self._fail("expected >>, +, %, [ or the end")
        return System(name[1].strip() if name else self.text[start:].strip(), tree, self.text)

    def chain(self) -> Node:
        place = self.place
        stages = [self.sum()]
        while self._take(">>"):
            stages.append(self.sum())
        return stages[0] if len(stages) == 1 else Chain(tuple(stages), place)

    def sum(self) -> Node:
        place = self.place
        terms = [self.term()]
        while self._take("+"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else Sum(tuple(terms), place)

    def term(self) -> Node:
        self._skip()
        place = self.place
        weight = _WEIGHT.match(self.text, place)
        if weight:
            self.place = weight.end()
        node = self.unit()
        if self._take("%"):
            node = Cut(node, self._depth(), place)
        if weight:
            node = Weighted(float(weight[1]), node, place)
        return node

    def unit(self) -> Node:
        self._skip()
        place = self.place
        if call := _CALL.match(self.text, place):
            self.place = call.end()
            return Call(call[1].lower(), tuple(self._inside(",", "expected , or )")), place)
        if self.text.startswith("(", place) and not self._end_of_name():
            self.place += 1
            return self._inside("", "expected >>, +, % or )")[0]
        return self.stage()

    def _inside(self, sign: str, expected: str) -> list[Node]:
        """The chains in brackets; a sign separates several."""
        splits, self.splits = self.splits, False
        chains = [self.chain()]
        while sign and self._take(sign):
            chains.append(self.chain())
        self._close(expected)
        self.splits = splits
        return chains

    def stage(self) -> Stage:
        place = self.place
        if self.text[place : place + 1] in ('"', "'"):
            word = self._quoted()
            path: Path | None = as_path(word)
        else:
            word, path = self._word()
        return Stage(word, path, self._options(), place, word)

    def _word(self) -> tuple[str, Path | None]:
        place, end = self.place, self._end_of_name()
        if end:
            self.place = end
            return self.text[place:end], None
        sign = SIGN.search(self.text, place)
        end, on_disk = sign.start() if sign else len(self.text), end_on_disk(self.text, place)
        found = on_disk > end or (on_disk == end and not is_path(self.text[place:end]))
        self.place = on_disk if found else end
        word = self.text[place : self.place]
        if not word:
            self._fail("expected a stage")
        if found:
            warn_of_form(word)
        return word, as_path(word) if found or is_path(word) else None

    def _end_of_name(self) -> int:
        """The end of the longest name of a stage or system that comes next; 0 if none does."""
        return next((end for end in word_ends(self.text, self.place) if self._named(self.text[self.place : end])), 0)

    def _named(self, word: str) -> bool:
        if self.splits and "+" in word:
            return False
        return word in self.names or word.lower() in self.names

    def _options(self) -> tuple[Option, ...]:
        if not self._take("["):
            return ()
        options = []
        while True:
            option = _OPTION.match(self.text, self.place)
            if not option:
                self._skip()
                self._fail("expected an option, NAME=VALUE")
            self.place = option.end()
            if self.text[self.place : self.place + 1] in ('"', "'"):
                value = self._quoted()
            else:
                found = _VALUE.match(self.text, self.place)
                if not found:
                    self._fail(f"expected a value of {option[1]}")
                value, self.place = found[0].strip(), found.end()
            options.append(Option(option[1], value, option.start(1)))
            if self._take("]"):
                return tuple(options)
            if not self._take(";"):
                self._fail("expected ; or ]")

    def _quoted(self) -> str:
        quote = self.text[self.place]
        end = self.text.find(quote, self.place + 1)
        if end < 0:
            raise PointedError(f"expected another {quote} after this one", self.text, self.place)
        word = self.text[self.place + 1 : end]
        self.place = end + 1
        return word

    def _depth(self) -> int:
        self._skip()
        found = _DEPTH.match(self.text, self.place)
        if not found:
            self._fail("expected a number of documents after %")
        if int(found[0]) < 1:
            raise PointedError(f"a cut-off is at least 1, not {found[0]}", self.text, self.place)
        self.place = found.end()
        self._skip()
        return int(found[0])

    def _close(self, expected: str) -> None:
        if not self._take(")"):
            self._fail(expected)

    def _skip(self) -> None:
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1

    def _take(self, sign: str) -> bool:
        """Skip blanks and a sign, if it comes next; whether it did."""
        self._skip()
        if not self.text.startswith(sign, self.place):
            return False
        self.place += len(sign)
        return True

    def fail_of_depth(self) -> NoReturn:
        """Refuse a text with too many nested brackets."""
        self._fail("expected fewer nested brackets")

    def _fail(self, expected: str) -> NoReturn:
        found = re.match(r">>|[^\s>%*+()\[\],;=\"']+|.", self.text[self.place :])
        raise PointedError(f"{expected}, found {repr(found[0]) if found else 'the end'}", self.text, self.place)
