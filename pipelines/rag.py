"""RAG as a PyTerrier transformer: it generates an answer from the passages of a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt
import torch
from tqdm.auto import tqdm

from ance_ir.models import RagToken
from ance_ir.models.text.settings import given_texts
from ance_ir.ranking import check_queries, rank_results
from ance_ir.settings import flag, integer_or_none, of_kind
from ance_ir.transformers import Configured, labelled, query_columns


class RagReader(Configured, pt.Transformer):
    """Generates one ``qanswer`` for each question from its highest-scoring passages; reads ``query``, ``text``, ``score`` and, where
    there is one, ``title``.

    Passages are weighted by their scores, which should be inner products of a dense retriever, as in the model's own training.

    Args:
        model: generates the answers.
        n_docs: passages read for each question; ``None``: as many as the model was trained with.
        verbose: show progress.
    """

    schematic = labelled("RAG")
    model = of_kind(RagToken)
    n_docs = integer_or_none(1)
    verbose = flag()

    def __init__(self, model: RagToken, n_docs: int | None = None, *, verbose: bool = False) -> None:
        self.model = model
        self.n_docs = n_docs
        self.verbose = verbose

    @classmethod
    def from_pretrained(
        cls, name: str | Path, n_docs: int | None = None, *, device: str | torch.device | None = None, verbose: bool = False, **options: Any
    ) -> RagReader:
        """Open a checkpoint; see ``RagToken.from_pretrained``."""
        return cls(RagToken.from_pretrained(name, device=device, **options), n_docs, verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Answer; the columns of the query are kept, questions come in the order in which they first appear.

        Raises:
            UsageError: a query or a text is no string.
        """
        pt.validate.result_frame(inp, extra_columns=["query", "text", "score"], context=self)
        kept = query_columns(inp, without="qanswer")
        if inp.empty:
            return inp[kept].assign(qanswer=pd.Series(dtype=str))
        check_queries(inp)
        ranked = rank_results(inp, self.n_docs or self.model.n_docs)
        first = ranked[ranked["rank"] == 0].reset_index(drop=True)
        groups = tqdm(ranked.groupby("qid", sort=False), desc="answering", unit=" questions", disable=not self.verbose)
        answers = [self._answer(passages) for _, passages in groups]
        return first[kept].assign(qanswer=pd.Series(answers, dtype=str))

    def _answer(self, passages: pd.DataFrame) -> str:
        texts, titles = (given_texts(passages, field) for field in ("text", "title"))
        return self.model.generate(passages["query"].iloc[0], titles, texts, passages["score"].to_list())
