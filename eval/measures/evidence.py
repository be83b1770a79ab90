"""What some measures need in addition to a run and qrels: answers, texts, other runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property

import numpy as np
import pandas as pd

from ance_ir.answers import is_pattern
from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.answering import AnswerFinder
from ance_ir.datasets.ids import clean_queries
from ance_ir.errors import DatasetNotFoundError, DocumentNotFoundError, EvaluationError
from ance_ir.eval.runs import check_run
from ance_ir.notices import examples

logger = logging.getLogger(__name__)


class Evidence:
    """Answers to questions, documents to look for them in, and runs to compare with. Lookups are cached.

    Args:
        answers: frame with ``qid`` (unique) and ``answers`` (list of str).
        store: gives the documents; first called when they are needed.
        runs: by name, frames with ``qid``, ``docno`` and ``score``.
        processes: how many look for answers where there are many texts.
        verbose: show progress.

    Raises:
        EvaluationError: one of the frames lacks a column, or is no run, or answers a question twice.
    """

    def __init__(
        self,
        *,
        answers: pd.DataFrame | None = None,
        store: Callable[[], DocumentStore] | None = None,
        runs: Mapping[str, pd.DataFrame] | None = None,
        processes: int = 1,
        verbose: bool = False,
    ) -> None:
        if answers is not None:
            missing = [column for column in ("qid", "answers") if column not in answers.columns]
            if missing:
                found = " ".join(answers.columns)
                raise EvaluationError(f"answers need the columns qid answers; {' '.join(missing)} missing, found {found}")
            answers = clean_queries(answers, "the questions")
        self.answers = answers
        self.runs = {name: check_run(run) for name, run in (runs or {}).items()}
        self._store = store
        self._processes = processes
        self._verbose = verbose
        self._finders: dict[bool, AnswerFinder] = {}

    def __repr__(self) -> str:
        answers = "no answers" if self.answers is None else f"answers to {len(self.answers):,} questions"
        parts = [answers, "documents" if self._store else "no documents", *(f"run {name}" for name in self.runs)]
        return f"Evidence({', '.join(parts)})"

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        split: str = "test",
        *,
        runs: Mapping[str, pd.DataFrame] | None = None,
        processes: int = 1,
        verbose: bool = False,
    ) -> Evidence:
        """A dataset's documents, and its answers where that split has any."""
        try:
            answers = dataset.answers(split)
        except DatasetNotFoundError:
            answers = None
        return cls(answers=answers, store=lambda: dataset.store(verbose=verbose), runs=runs, processes=processes, verbose=verbose)

    def with_runs(self, runs: Mapping[str, pd.DataFrame]) -> Evidence:
        """The same with more runs, as ``check_run`` returns them; lookups are shared."""
        more = copy(self)
        more.runs = {**self.runs, **runs}
        return more

    def holding(self, run: pd.DataFrame, *, patterns: bool = False) -> np.ndarray:
        """Which of a run's documents contain an answer to their question.

        Args:
            run: frame with ``qid`` and ``docno``; all queries are among the questions.
            patterns: whether answers are regular expressions.

        Returns:
            bool, for each row.

        Raises:
            EvaluationError: there are no answers, or no documents.
            DocumentNotFoundError: a document that the corpus does not hold.
        """
        if self.answers is None or self._store is None:
            raise EvaluationError("to look for answers in documents takes both: Evidence(answers=…, store=…)")
        documents = self._documents
        rows, docnos = pd.factorize(run["docno"])
        names = [str(docno) for docno in docnos]
        numbers = documents.numbers(names)
        if len(unknown := np.flatnonzero(numbers < 0)):
            shown = ", ".join(repr(names[row]) for row in unknown[:3])
            raise DocumentNotFoundError(
                f"{len(unknown)} of the run's {len(names)} documents are not among the {len(documents)} of the corpus, {shown} "
                "for example: was it made on another collection?"
            )
        finder = self._finders.get(patterns)
        if finder is None:
            if patterns:
                self._warn_of_invalid()
            finder = AnswerFinder(documents, self.answers["answers"], patterns=patterns, processes=self._processes, verbose=self._verbose)
            self._finders[patterns] = finder
        return finder.find(self._questions.get_indexer(pd.Index(run["qid"])), numbers[rows])

    def _warn_of_invalid(self) -> None:
        """Warn of answers that are no regular expressions."""
        assert self.answers is not None
        invalid = [answer for right in self.answers["answers"] for answer in right if not is_pattern(answer)]
        if invalid:
            logger.warning("%d answers are no regular expressions, and match nothing: %s", len(invalid), examples(invalid))

    @cached_property
    def _documents(self) -> DocumentStore:
        assert self._store is not None
        return self._store()

    @cached_property
    def _questions(self) -> pd.Index:
        assert self.answers is not None
        questions: pd.Index = pd.Index(self.answers["qid"])
        return questions
