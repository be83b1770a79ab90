"""Screening of documents: those that cannot be used are refused, or left out and counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from ance_ir.choices import check_choice
from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.errors import DatasetError

logger = logging.getLogger(__name__)

Document = dict[str, str]
"""``docno`` and ``text``, and ``title`` and ``url`` where the source has them."""

OnError = Literal["raise", "skip"]
"""The policy for documents that cannot be used: refuse the corpus, or leave them out.

Left out and counted are lines that are no documents (their docno is empty or holds white space, for one), text that is not UTF-8, documents
whose docno came before (the first one stays), and those with neither title nor text. Under ``"raise"`` these last are kept, counted and
reported, since published collections have them.
"""

DUPLICATE, EMPTY, UNDECODABLE, NO_DOCUMENT = "duplicate docno", "empty text", "not UTF-8", "no document"
"""The kinds of documents that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """Takes the place of a document in a stream.

    Attributes:
        kind: what is wrong with it.
        error: the error to raise unless it is left out.
    """

    kind: str
    error: DatasetError


class Screening:
    """Passes the usable documents of a corpus on.

    Args:
        on_error: what to do with the others.

    Raises:
        UsageError: there is no such policy.
    """

    def __init__(self, on_error: OnError) -> None:
        self._skips = check_choice("value of on_error", on_error, get_args(OnError)) == "skip"
        self._counts = Counter[str]()
        self._first: dict[str, str] = {}
        self._ids = Ids("the corpus")

    @property
    def left_out(self) -> dict[str, int]:
        """The number of documents left out, by kind."""
        return dict(self._counts) if self._skips else {}

    @property
    def first_left_out(self) -> dict[str, str]:
        """The first that was left out of each kind."""
        return dict(self._first) if self._skips else {}

    def usable(self, documents: Iterable[Mapping[str, Any] | Unusable]) -> Iterator[Document]:
        """The documents, with no other fields than a ``Document`` has.

        Raises:
            DatasetError: a document is not usable, unless such are left out.
        """
        for place, found in enumerate(documents, start=1):
            document = found if isinstance(found, Unusable) else check_document(found, f"document {place} of the corpus", self._ids)
            if isinstance(document, Unusable):
                if not self._skips:
                    raise document.error
                self.count(document.kind, str(document.error))
                continue
            if not document["text"].strip() and not document.get("title", "").strip():
                self.count(EMPTY, repr(document["docno"]))
                if self._skips:
                    continue
            yield document

    def count(self, kind: str, first: str, count: int = 1) -> None:
        """Count documents of a kind.

        Args:
            kind: what is wrong with them.
            first: names the first of them.
            count: how many there are.
        """
        self._counts[kind] += count
        self._first.setdefault(kind, first)

    def log(self) -> None:
        """Warn of the documents counted, if any."""
        self._ids.report()
        if self._counts:
            counts = "; ".join(f"{count} × {kind}, first {self._first[kind]}" for kind, count in self._counts.items())
            logger.warning("%s: %s", "left out of the corpus" if self._skips else "kept in the corpus", counts)


def check_document(found: Mapping[str, Any], where: str, ids: Ids) -> Document | Unusable:
    """A document reduced to the fields of ``Document``, or what is wrong with it.

    Args:
        found: a missing title or url may be ``None`` or NaN, as in frames.
        where: names the document, for messages.
        ids: checks its docno.
    """
    try:
        document = {"docno": ids.clean(found.get("docno"), "docno")}
    except InvalidIdError as invalid:
        kind = UNDECODABLE if isinstance(found.get("docno"), str) and not _is_utf8(found["docno"]) else NO_DOCUMENT
        return Unusable(kind=kind, error=DatasetError(f"{where}: {invalid}"))
    for field in ("title", "url", "text"):
        value = found.get(field)
        if field != "text" and (value is None or value is pd.NA or value != value):
            continue
        if not isinstance(value, str):
            fault = f"{where} ({document['docno']!r}): expected a string under the key {field!r}, found {value!r}"
            return Unusable(kind=NO_DOCUMENT, error=DatasetError(fault))
        if not _is_utf8(value):
            fault = f"expected text that UTF-8 can encode under the key {field!r}, found half a surrogate pair"
            return Unusable(kind=UNDECODABLE, error=DatasetError(f"{where} ({document['docno']!r}): {fault}"))
        document[field] = value
    return document


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
