"""Documents as engines take them: a line of text each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ance_ir.errors import IndexingError


def feed(documents: Iterable[dict[str, Any]], add: Callable[[str, str], None]) -> Iterator[str]:
    """Hand each document's docno and text to ``add``; yield the docno.

    Raises:
        IndexingError: a docno, title or text that is no string.
    """
    for document in documents:
        text = _line(document)
        add(document["docno"], text)
        yield document["docno"]


def _line(document: dict[str, Any]) -> str:
    """A document's title and text on one line.

    Raises:
        IndexingError: its docno, title or text is no string.
    """
    docno, title, text = (document.get(name) for name in ("docno", "title", "text"))
    if not isinstance(docno, str) or not docno:
        raise IndexingError(f"a document's docno must be a string of at least one character, found {docno!r}")
    for name, value in (("title", title or ""), ("text", text)):
        if not isinstance(value, str):
            raise IndexingError(f"document {docno}: its {name} must be a string, found {value!r}")
    return clean(f"{title or ''} {text}".replace("\r", " ").replace("\n", " "))


def clean(text: str) -> str:
    """A text that can be written as UTF-8; what cannot becomes question marks."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
