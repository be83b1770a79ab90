"""The BERT reranker as a PyTerrier transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt
import torch
from tqdm.auto import tqdm

from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP
from ance_ir.models import CrossEncoder, PassageScheme
from ance_ir.ranking import rank_results


class BertReranker(pt.Transformer):
    """Ranks documents anew by a cross-encoder that reads ``query`` and ``text`` (``title``, ``url``) together.

    The score is the log-odds of relevance, also of a checkpoint whose own score is a probability: the order is the same, and documents
    far above 0 do not become equal.

    Args:
        model: the cross-encoder.
        passages: how long documents are cut; a document is as relevant as its best passage. ``FirstP()`` reads what fits into one pair.
        verbose: show progress.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "BERT reranker", "help_url": None}

    def __init__(self, model: CrossEncoder, passages: PassageScheme | None = None, *, verbose: bool = False) -> None:
        self.model = model
        self.passages = FirstP() if passages is None else passages
        self.verbose = verbose
        model.tokenizer.pairs([""], [""], self.passages)  # a scheme that the model cannot take shows here

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        passages: PassageScheme | None = None,
        *,
        device: str | torch.device | None = None,
        verbose: bool = False,
        **settings: Any,
    ) -> BertReranker:
        """Open a checkpoint; see ``CrossEncoder.from_pretrained``."""
        return cls(CrossEncoder.from_pretrained(name, device=device, **settings), passages, verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Score and rank anew; every other column is kept.

        Raises:
            UsageError: a query is no string.
        """
        pt.validate.result_frame(inp, extra_columns=["query", "text"], context=self)
        if inp.empty:
            return inp.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        for qid, query in zip(inp["qid"], inp["query"], strict=True):
            if not isinstance(query, str):
                raise UsageError(f"query {qid} must be a string, found {query!r}")
        texts = self.model.settings.join_frame(inp)
        with tqdm(desc="reranking", unit=" passages", disable=not self.verbose) as bar:
            scores = self.model.log_odds(inp["query"].to_list(), texts, self.passages, bar.update)
        return rank_results(inp.assign(score=scores.astype(np.float64)))

    def subtransformers(self) -> dict[str, Any]:
        """None."""
        return {}

    def _configuration(self) -> tuple[Any, ...]:
        return id(self.model), self.passages

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BertReranker) and self._configuration() == other._configuration()

    def __hash__(self) -> int:
        return hash(self._configuration())
