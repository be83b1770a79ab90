"""Adds document texts to frames of docnos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.store.documents import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.settings import Setting, flag
from ance_ir.transformers import Configured, labelled

FIELDS = ("text", "title", "url")


def _read_fields(value: Any) -> tuple[str, ...]:
    fields = FIELDS if value == "*" else (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else ()
    if not fields or not all(field in FIELDS for field in fields):
        raise UsageError(f"must be one or more of {', '.join(FIELDS)}, or '*' for all, not {value!r}")
    return fields


class TextLoader(Configured, pt.Transformer):
    """Adds columns of text to any frame with ``docno``; a column of the same name is replaced, all others are kept.

    Args:
        store: a function of ``verbose`` that returns the documents; first called for the first frame that is not empty.
        fields: one or more of ``"text"``, ``"title"`` and ``"url"``, ``"*"`` for all; a document without one has ``""`` there.
        verbose: show progress if the store is built.

    Raises:
        UsageError: another field, or none.
    """

    schematic = labelled("Text loader")
    store: Setting[Callable[..., DocumentStore]] = Setting(lambda value: value)
    fields = Setting(_read_fields)
    verbose = flag()

    def __init__(self, store: Callable[..., DocumentStore], fields: Sequence[str] | str = "*", *, verbose: bool = False) -> None:
        super().__init__()
        self.store = store
        self.fields = fields
        self.verbose = verbose

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The frame with the text columns.

        Raises:
            InputValidationError: no column ``docno``.
            DocumentNotFoundError: docnos that the corpus does not hold.
        """
        pt.validate.columns(inp, includes=["docno"], context=self)
        rows, docnos = pd.factorize(inp["docno"], use_na_sentinel=False)
        documents = self.store(verbose=self.verbose).get([str(docno) for docno in docnos]) if len(inp) else []
        texts = {field: pd.Series([documents[row].get(field, "") for row in rows], index=inp.index, dtype=str) for field in self.fields}
        return inp.assign(**texts)
