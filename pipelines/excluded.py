"""Retrieval where some documents do not count for a query, whether they are found or not."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.digests import digest_of
from ance_ir.ranking import rank_results
from ance_ir.settings import of_kind
from ance_ir.transformers import Retrieving, labelled


class Excluded:
    """Documents that do not count for a query, such as those that BRIGHT's authors exclude.

    Args:
        pairs: frame with ``qid`` and ``docno``.
    """

    def __init__(self, pairs: pd.DataFrame) -> None:
        self.pairs = pairs[["qid", "docno"]].drop_duplicates(ignore_index=True)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"Excluded({len(self):,} documents of {self.pairs['qid'].nunique():,} queries)"

    @cached_property
    def most(self) -> int:
        """Documents of one query, at most."""
        return int(self.pairs["qid"].value_counts().max()) if len(self) else 0

    def fingerprint(self) -> str:
        """Hash of the pairs."""
        return digest_of(self.pairs.to_dict("list"))

    def without(self, results: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
        """A result frame without these documents, ranked again; see ``rank_results``."""
        pairs = pd.MultiIndex.from_frame(self.pairs)
        return rank_results(results[~pd.MultiIndex.from_frame(results[["qid", "docno"]]).isin(pairs)], k)


class WithoutExcluded(Retrieving):
    """The results of a retriever without documents that do not count for their query.

    Args:
        retriever: asked for as many documents more as can be excluded if it belongs to this package; others should return more themselves.
        excluded: what does not count.
        num_results: documents a query, at most.
    """

    schematic = labelled("Without excluded")
    stages = ("retriever",)
    retriever = of_kind(pt.Transformer)
    excluded = of_kind(Excluded)

    def __init__(self, retriever: pt.Transformer, excluded: Excluded, num_results: int = 1000) -> None:
        self.retriever = retriever
        self.excluded = excluded
        self.num_results = num_results

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search, leave out what does not count, rank again and cut."""
        retriever = self.retriever
        if isinstance(retriever, Retrieving):
            retriever = retriever % (self.num_results + self.excluded.most)
        return self.excluded.without(retriever.transform(inp), self.num_results)

    def transform_inputs(self) -> Any:
        """The columns that the retriever needs."""
        return pt.inspect.transformer_inputs(self.retriever)
