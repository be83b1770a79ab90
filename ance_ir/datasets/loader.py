"""Document texts for frames of docnos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.store import DocumentStore
from ance_ir.errors import UsageError

FIELDS = ("text", "title", "url")


class TextLoader(pt.Transformer):
    """Adds columns of text to any frame with ``docno``; a column of the same name is replaced, all else stays as it was.

    Args:
        store: gives the documents, given ``verbose``; first called for the first frame that is not empty.
        fields: one or more of ``"text"``, ``"title"`` and ``"url"``, ``"*"`` for all; a document without one has ``""`` there.
        verbose: show progress where the store is built.

    Raises:
        UsageError: another field, or none.
    """

    # without a help_url PyTerrier asks its documentation on the network
    schematic: ClassVar[dict[str, str | None]] = {"label": "Text loader", "help_url": None}

    def __init__(self, store: Callable[..., DocumentStore], fields: Sequence[str] | str = "*", *, verbose: bool = False) -> None:
        if isinstance(fields, str):
            fields = FIELDS if fields == "*" else (fields,)
        if not fields or not set(fields) <= set(FIELDS):
            raise UsageError(f"expected one or more of the fields {', '.join(FIELDS)}, or '*' for all, found {fields!r}")
        super().__init__()
        self.store = store
        self.fields = tuple(fields)
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

    def subtransformers(self) -> dict[str, Any]:
        """None."""
        return {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextLoader) and (self.store, self.fields) == (other.store, other.fields)

    def __hash__(self) -> int:
        return hash((self.store, self.fields))
