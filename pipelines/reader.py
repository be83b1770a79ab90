"""Readers as PyTerrier transformers: the best answer in each passage, then one answer for each question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyterrier as pt
import torch
from tqdm.auto import tqdm

from ance_ir.models import Reader, Readings
from ance_ir.models.compute.inference import Progress
from ance_ir.models.text.settings import given_texts
from ance_ir.ranking import check_queries, finite_scores, rank_results
from ance_ir.settings import Setting, choice, flag, having
from ance_ir.transformers import Configured, labelled, query_columns


class PassageReader(Protocol):
    """Finds answers in passages, as a ``Reader`` does."""

    def read(
        self, questions: Sequence[str], texts: Sequence[str], titles: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Readings:
        """See ``Reader.read``."""
        ...


class AnswerReader(Configured, pt.Transformer):
    """Adds to each passage its best ``answer``, the span's ``answer_score`` and the passage's ``relevance``; reads ``query``, ``text`` and,
    where there is one, ``title``.

    A text without a token has the answer ``""``, and −∞ for both numbers.

    Args:
        reader: a ``Reader``.
        verbose: show progress.
    """

    schematic = labelled("Reader")
    reader: Setting[PassageReader] = having("a Reader, or what has its method read", "read")
    verbose = flag()

    def __init__(self, reader: PassageReader, *, verbose: bool = False) -> None:
        self.reader = reader
        self.verbose = verbose

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, device: str | torch.device | None = None, verbose: bool = False, **settings: Any
    ) -> AnswerReader:
        """Open a checkpoint; see ``Reader.from_pretrained``."""
        return cls(Reader.from_pretrained(name, device=device, **settings), verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Read; every row and column is kept.

        Raises:
            UsageError: a query or a text is no string, or a number of the reader's is not finite.
        """
        pt.validate.result_frame(inp, extra_columns=["query", "text"], context=self)
        if inp.empty:
            return inp.assign(answer=pd.Series(dtype=str), answer_score=pd.Series(dtype=float), relevance=pd.Series(dtype=float))
        check_queries(inp)
        texts, titles = (given_texts(inp, field) for field in ("text", "title"))
        with tqdm(desc="reading", unit=" passages", disable=not self.verbose) as bar:
            found = self.reader.read(inp["query"].to_list(), texts, titles, bar.update)
        scores, relevance = found.scores.astype(np.float64), found.relevance.astype(np.float64)
        read = inp.assign(answer=pd.Series(found.answers, index=inp.index, dtype=str), answer_score=scores, relevance=relevance)
        for column in ("answer_score", "relevance"):
            finite_scores(read[read["answer_score"] != -np.inf], column)
        return read


class BestAnswer(Configured, pt.Transformer):
    """Keeps one row for each question, with its ``qanswer``, its ``answer_score`` and the ``docno`` of the passage that holds it.

    The columns of the query are kept too. Ties are broken by docno, last first.

    Args:
        by: ``"relevance"`` takes the best answer of the most relevant passage, as DPR does; ``"score"`` the answer that scores highest of
            all, for readers whose scores can be compared over passages.
    """

    schematic = labelled("Best answer")
    by: Setting[Literal["relevance", "score"]] = choice(("relevance", "score"))

    def __init__(self, by: Literal["relevance", "score"] = "relevance") -> None:
        self.by = by

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Choose; questions come in the order in which they first appear."""
        pt.validate.columns(inp, includes=["qid", "query", "docno", "answer", "answer_score", "relevance"], context=self)
        scores = inp["relevance" if self.by == "relevance" else "answer_score"]
        ranked = rank_results(inp.assign(score=scores.replace(-np.inf, np.finfo(np.float32).min)), 1)  # −∞ of a text without a token
        kept = query_columns(inp, without="qanswer")
        return ranked.assign(qanswer=ranked["answer"])[[*kept, "qanswer", "answer_score", "docno"]]
