"""Which languages the BM25 of a pipeline is for."""

from __future__ import annotations

import pyterrier as pt

from ance_ir.pipelines.bm25.engine import NONE
from ance_ir.pipelines.bm25.retriever import BM25Retriever
from ance_ir.transformers import parts_of


def stemmed_languages(pipeline: pt.Transformer) -> frozenset[str]:
    """The languages whose stemmers its BM25 retrievers apply, by their codes; none where there is no such stage."""
    try:
        stages = list(parts_of(pipeline))
    except pt.inspect.InspectError:  # somebody else's, which does not say what is in it
        return frozenset()
    return frozenset(one.index.language for one in stages if isinstance(one, BM25Retriever) and one.index.stemmer != NONE)
