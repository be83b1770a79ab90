"""The texts that rerankers read: where a frame has none, a dataset's; for models without settings of their own the title comes first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.models.text.settings import given_texts
from ance_ir.pipelines.bm25.documents import clean
from ance_ir.ranking import check_queries

FIELDS = ("title", "text")


def title_and_text(frame: pd.DataFrame) -> list[str]:
    """The text of each row of a frame with ``text`` and perhaps ``title``."""
    titles, texts = (given_texts(frame, field) for field in FIELDS)
    return [clean(f"{title} {text}").strip() for title, text in zip(titles, texts, strict=True)]


def with_texts(reranker: pt.Transformer, inp: pd.DataFrame, dataset: Dataset | None, fields: Sequence[str]) -> pd.DataFrame:
    """The input of a reranker, checked, with the texts of its documents: the frame's own, else the dataset's.

    Raises:
        UsageError: a query is no string.
        DocumentNotFoundError: a frame without ``text`` has documents that the dataset does not hold.
    """
    pt.validate.result_frame(inp, extra_columns=["query", "text"] if dataset is None else ["query"], context=reranker)
    if inp.empty:
        return inp
    check_queries(inp)
    return inp if dataset is None or "text" in inp.columns else dataset.text_loader(fields).transform(inp)
