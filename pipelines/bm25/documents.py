"""Documents as engines take them: each a line of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ance_ir.datasets.ids import Ids
from ance_ir.datasets.screening import Document, Unusable, check_document
from ance_ir.errors import IndexingError


def feed(documents: Iterable[dict[str, Any]], add: Callable[[str, str], None]) -> Iterator[str]:
    """Pass each document's docno and text to ``add``; yield the docno.

    Raises:
        IndexingError: an item is no document.
    """
    ids = Ids("the documents")
    for place, found in enumerate(documents, start=1):
        document = check_document(found, f"document {place}", ids)
        if isinstance(document, Unusable):
            raise IndexingError(str(document.error))
        add(document["docno"], _line(document))
        yield document["docno"]
    ids.report()


def _line(document: Document) -> str:
    """A document's title and text on one line."""
    return f"{document.get('title', '')} {document['text']}".replace("\r", " ").replace("\n", " ")


def clean(text: str) -> str:
    """A text that can be written as UTF-8; other characters become question marks."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
