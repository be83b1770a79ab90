"""Retrieval for queries that are documents of the corpus too: a query does not find itself."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.ranking import without_itself
from ance_ir.settings import of_kind
from ance_ir.transformers import Retrieving, labelled


class WithoutItself(Retrieving):
    """The results of a retriever without the document whose docno is the query's qid.

    Such a result does not count in BEIR's collections: the queries of ArguAna and Quora are documents.

    Args:
        retriever: asked for one document more than wanted if it belongs to this package; others should return one more themselves.
        num_results: documents a query, at most.
    """

    schematic = labelled("Without itself")
    stages = ("retriever",)
    retriever = of_kind(pt.Transformer)

    def __init__(self, retriever: pt.Transformer, num_results: int = 1000) -> None:
        self.retriever = retriever
        self.num_results = num_results

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search, leave the query's own document out, rank again and cut."""
        retriever = self.retriever
        if isinstance(retriever, Retrieving):
            retriever = retriever % (self.num_results + 1)
        return without_itself(retriever.transform(inp), self.num_results)

    def transform_inputs(self) -> Any:
        """The columns that the retriever needs."""
        return pt.inspect.transformer_inputs(self.retriever)
