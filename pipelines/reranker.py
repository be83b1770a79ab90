"""The BERT reranker as a PyTerrier transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import torch
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP
from ance_ir.indexes.search.aggregation import parse_aggregation
from ance_ir.models import CrossEncoder, PassageScheme
from ance_ir.pipelines.texts import with_texts
from ance_ir.ranking import rank_results
from ance_ir.settings import Setting, flag, having, of_kind, text
from ance_ir.transformers import Configured, labelled


def _read_passages(value: Any) -> PassageScheme:
    if isinstance(value, type) or not (value is None or hasattr(value, "windows")):
        raise UsageError(f"must be a scheme such as FirstP() or MaxP(512, 4), not {value!r:.60}")
    return FirstP() if value is None else value


class BertReranker(Configured, pt.Transformer):
    """Reranks documents by a cross-encoder that reads ``query`` and ``text`` (``title``, ``url``) together.

    ``bm25 % 100 >> BertReranker(model, dataset=dataset)`` takes the texts from a dataset; ``bm25 % 100 >> loader >> BertReranker(model)``,
    from any transformer that adds a column ``text``.

    The score is the log-odds of relevance, also of a checkpoint whose own score is a probability: the order is the same, and documents
    far above 0 do not become equal.

    Args:
        model: the cross-encoder.
        passages: how long documents are split; ``FirstP()``, the default, reads what fits into one pair.
        aggregation: how the log-odds of the passages of a document make its score: ``max``, ``mean``, ``sum:N`` (of the best N) or
            ``first``.
        dataset: where the texts of a frame without ``text`` come from, with all fields that the model reads.
        verbose: show progress.

    Raises:
        UsageError: there is no such aggregation, or the model cannot take such passages.
    """

    schematic = labelled("BERT reranker")
    model = of_kind(CrossEncoder)
    passages: Setting[PassageScheme] = Setting(_read_passages)
    aggregation = text(lambda name: str(parse_aggregation(name)))
    dataset: Setting[Dataset | None] = having("a dataset or None", "text_loader")
    verbose = flag()

    def __init__(
        self,
        model: CrossEncoder,
        passages: PassageScheme | None = None,
        *,
        aggregation: str = "max",
        dataset: Dataset | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.passages = passages
        self.aggregation = aggregation
        self.dataset = dataset
        self.verbose = verbose

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the model must take such passages."""
        self.model.tokenizer.pairs([""], [""], self.passages)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        passages: PassageScheme | None = None,
        *,
        aggregation: str = "max",
        dataset: Dataset | None = None,
        device: str | torch.device | None = None,
        verbose: bool = False,
        **settings: Any,
    ) -> BertReranker:
        """Open a checkpoint; see ``CrossEncoder.from_pretrained``."""
        model = CrossEncoder.from_pretrained(name, device=device, **settings)
        return cls(model, passages, aggregation=aggregation, dataset=dataset, verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Score and rerank; every other column is kept.

        Raises:
            UsageError: a query is no string.
            DocumentNotFoundError: a frame without ``text`` has documents that the dataset does not hold.
        """
        read = with_texts(self, inp, self.dataset, self.model.settings.fields)
        if inp.empty:
            return inp.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        texts = self.model.settings.join_frame(read)
        combine = parse_aggregation(self.aggregation).combine
        with tqdm(desc="reranking", unit=" passages", disable=not self.verbose) as bar:
            scores = self.model.log_odds(inp["query"].to_list(), texts, self.passages, bar.update, combine)
        return rank_results(inp.assign(score=scores.astype(np.float64)))
