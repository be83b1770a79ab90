"""Checks of ids, qids and docnos: text without white space, which separates columns in run files and judgements."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from ance_ir.errors import AnceError, EvaluationError
from ance_ir.notices import examples

logger = logging.getLogger(__name__)

_AROUND = "\ufeff\u200b"
"""Invisible characters around an id that are no white space: the byte-order mark, the zero-width space."""

_WITHIN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\ufeff\ud800-\udfff]")


FRACTION = "Ids are texts or whole numbers; of a column of these that has gaps pandas makes fractions: write 1 for 1.0"
"""The hint on an id that is a number with a point."""


class InvalidIdError(ValueError):
    """A value that is no id."""

    def __init__(self, expected: str, found: object) -> None:
        found = found.item() if isinstance(found, np.generic) else found
        kind = "" if isinstance(found, str) else f" ({type(found).__name__})"
        hint = f". {FRACTION}" if isinstance(found, float) else ""
        super().__init__(f"expected {expected}, found {found!r}{kind}{hint}")
        self.expected = expected
        self.found = str(found)


class Ids:
    """Checks the ids of one source, strips white space around them, and reports once how often.

    Args:
        source: the source, for messages.
    """

    def __init__(self, source: object) -> None:
        self._source = source
        self._stripped = 0
        self._first: list[str] = []

    def clean(self, value: object, kind: str) -> str:
        """An id without white space around it.

        Args:
            value: the id as given.
            kind: ``"qid"``, ``"docno"``, …, for messages.

        Raises:
            InvalidIdError: it is no string, is empty, or has white space, control characters or characters that UTF-8 cannot encode.
        """
        if is_plain(value) or (isinstance(value, str) and value and not _WITHIN.search(value)):
            return value
        name = f"an {kind}" if kind == "id" else f"a {kind}"
        if not isinstance(value, str):
            raise InvalidIdError(f"{name} that is a string", value)
        cleaned = _stripped(value)
        if not cleaned:
            raise InvalidIdError(f"{name} that is not empty", value)
        if _WITHIN.search(cleaned):
            raise InvalidIdError(f"{name} without white space or control characters, which a run file cannot hold", value)
        self._stripped += 1
        if len(self._first) < 4:
            self._first.append(value)
        return cleaned

    def given(self, value: object, kind: str) -> str:
        """The same of an id as tables, JSON and frames have it: whole numbers become text."""
        return self.clean(as_text(value), kind)

    def clean_all(self, values: list[Any], kind: str) -> list[str]:
        """The same of several ids, at once where none needs a closer look."""
        try:
            plain = not values or (is_plain("".join(values)) and "" not in values)
        except TypeError:
            plain = False
        return values if plain else [self.clean(value, kind) for value in values]

    def report(self) -> None:
        """Warn of the ids that had white space around them, if any had."""
        if self._stripped:
            logger.warning("%s: white space around %d ids was stripped: %s", self._source, self._stripped, examples(self._first))


def is_plain(value: object) -> TypeGuard[str]:
    """Whether a value is an id of printable ASCII characters alone, which is five times faster to see than the rest."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value and value != ""


def as_text(value: object) -> object:
    """A whole number as text; anything else as it is."""
    return str(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else value


def text_id(*texts: str) -> str:
    """An id made from texts that have none: 16 hexadecimal digits of their hash."""
    return hashlib.blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _stripped(value: str) -> str:
    while (shorter := value.strip().strip(_AROUND)) != value:
        value = shorter
    return value


def clean_ids(frame: pd.DataFrame, columns: Sequence[str], source: str, *, error: type[AnceError] = EvaluationError) -> pd.DataFrame:
    """A frame with checked ids, without white space around them; the frame itself if nothing changes.

    Args:
        frame: with those columns.
        columns: ``"qid"``, ``"docno"``.
        source: name of the frame, for messages: ``"the qrels"``.
        error: the class to raise.

    Raises:
        error: an id is no string, is empty or has white space in it.
    """
    ids = Ids(source)
    for column in columns:
        rows, names = pd.factorize(_strings(frame[column], source, error))
        try:
            cleaned = [ids.clean(name, column) for name in names]
        except InvalidIdError as invalid:
            raise error(f"{source}: {invalid}") from None
        if cleaned != list(names):
            frame = frame.assign(**{column: np.array(cleaned, dtype=object)[rows]})
    ids.report()
    return frame


def clean_queries(queries: pd.DataFrame, source: str = "the queries", *, error: type[AnceError] = EvaluationError) -> pd.DataFrame:
    """A frame of queries, or of facts about them, one row for each, with ids checked by ``clean_ids``.

    Raises:
        error: there is no column ``qid``, an id is invalid or occurs twice, or the text of a query is no string.
    """
    if "qid" not in queries.columns:
        raise error(f"{source}: expected a column qid, found {' '.join(map(str, queries.columns))}")
    queries = clean_ids(queries, ("qid",), source, error=error)
    repeated = queries["qid"][queries["qid"].duplicated()]
    if len(repeated):
        raise error(f"{source}: expected each qid once, found {repeated.iloc[0]!r} again ({len(repeated)} such)")
    for qid, query in zip(queries["qid"], queries["query"], strict=True) if "query" in queries.columns else ():
        if not isinstance(query, str):
            raise error(f"{source}: expected a text that is a string, found {query!r} ({type(query).__name__}) for {qid!r}")
    return queries


def _strings(values: pd.Series[Any], source: str, error: type[AnceError]) -> pd.Series[Any]:
    """The values as objects; all must be strings."""
    values = values.astype(object)
    if len(values) and pd.api.types.infer_dtype(values, skipna=False) != "string":
        other = next(value for value in values if not isinstance(value, str))
        whole = isinstance(other, int | np.integer) and not isinstance(other, bool)
        remedy = f"; give them as strings: .astype({{{values.name!r}: str}})" if whole else ""
        raise error(f"{source}: expected a {values.name} that is a string, found {other!r} ({type(other).__name__}){remedy}")
    return values
