"""Evaluation of readers: their answers to a dataset's questions, from the passages that a system finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ance_ir.datasets import Dataset
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval.measures import EM, F1, Evidence, evaluate, known_queries
from ance_ir.eval.tables import Table
from ance_ir.files import atomic_open
from ance_ir.models import Reader
from ance_ir.notices import collected, examples
from ance_ir.pipelines import AnswerReader, BestAnswer, Systems
from ance_ir.pipelines.nearest_name import NearestName

logger = logging.getLogger(__name__)

GOLD = "gold"
"""Stands for the passages that are judged relevant, in place of a system."""

NEAREST_NAME = "nearest-name"
"""The reader without a model."""

_MEASURES = (str(EM), str(F1))


@dataclass(frozen=True, kw_only=True)
class ReadingReport:
    """The answers of readers, and their measures.

    Attributes:
        answers: of each reader, by name: ``qid query qanswer answer_score docno``.
        per_query: of each reader ``EM`` and ``F1``, indexed by qid.
        passages: a phrase that says where they looked.
        notices: warnings on the way.
    """

    answers: Mapping[str, pd.DataFrame]
    per_query: Mapping[str, pd.DataFrame]
    passages: str
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ReadingReport({', '.join(self.answers)}; {len(next(iter(self.per_query.values())))} questions, {self.passages})"

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def to_text(self) -> str:
        """The table for a terminal, with a legend."""
        questions = len(next(iter(self.per_query.values())))
        return f"{self._table().to_text()}\n{questions:,} questions, {self.passages}"

    def _table(self) -> Table:
        rows = [[name, *(f"{value:.4f}" for value in values.mean())] for name, values in self.per_query.items()]
        return Table(header=["reader", *_MEASURES], rows=rows)

    def save(self, path: Path | str) -> None:
        """Write the answers as JSON lines, ``reader`` among the fields."""
        with atomic_open(path) as stream:
            for name, found in self.answers.items():
                stream.write(found.assign(reader=name).to_json(orient="records", lines=True, force_ascii=False))


def evaluate_readers(
    dataset: Dataset,
    readers: Mapping[str, AnswerReader],
    *,
    system: str = "bm25",
    depth: int = 10,
    split: str = "test",
    questions: int | None = None,
    seed: int = 42,
    device: str | None = None,
) -> ReadingReport:
    """Answer a dataset's questions, and compare with the right answers.

    Args:
        dataset: passages, questions and answers.
        readers: by the name that the report gives them.
        system: finds the passages, as ``Systems`` reads it; or ``"gold"``: those that are judged relevant.
        depth: passages of each question that are read.
        split: the questions.
        questions: how many of them, drawn at random; ``None``: all.
        seed: of the draw.
        device: where the system computes.

    Raises:
        UsageError: there is no such system, or a number is out of range.
        DatasetNotFoundError: the split has no answers.
        EvaluationError: none of its questions has any.
    """
    for name, value in (("depth", depth), ("questions", questions)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is at least 1, not {value}")
    with collected() as notices:
        answers = dataset.answers(split)
        asked = known_queries(dataset.queries(split), pd.Index(answers["qid"]), "answers")
        if asked.empty:
            raise EvaluationError(f"{dataset.name}, split {split!r}: no question has answers; look whether qids are written alike")
        unanswerable = asked["qid"][~asked["qid"].isin(answers["qid"][answers["answers"].map(lambda given: any(map(str.strip, given)))])]
        if len(unanswerable):
            message = "%d of %d questions have no answer that is not empty, and count 0 (%s)"
            logger.warning(message, len(unanswerable), len(asked), examples(unanswerable))
        if questions is not None and questions < len(asked):
            asked = asked.iloc[np.sort(np.random.default_rng(seed).choice(len(asked), questions, replace=False))]
        asked = asked.reset_index(drop=True)
        passages = dataset.text_loader(("title", "text")).transform(_found(dataset, asked, system, depth, split, device))
        chosen = {name: BestAnswer().transform(reader.transform(passages)) for name, reader in readers.items()}
        evidence = Evidence(answers=answers[answers["qid"].isin(set(asked["qid"]))])
        per_query = {name: evaluate(best, None, _MEASURES, evidence=evidence) for name, best in chosen.items()}
    where = "their relevant passages" if system == GOLD else f"the first {depth} passages of {system}"
    return ReadingReport(answers=chosen, per_query=per_query, passages=where, notices=tuple(notices))


def _found(dataset: Dataset, asked: pd.DataFrame, system: str, depth: int, split: str, device: str | None) -> pd.DataFrame:
    """The passages to read, without their texts."""
    if system == GOLD:
        qrels = dataset.qrels(split)
        relevant = qrels[qrels["label"] > 0].rename(columns={"label": "score"})
        found = asked.merge(relevant, on="qid").groupby("qid", sort=False).head(depth).reset_index(drop=True)
    else:
        _, retriever = Systems(dataset, num_results=depth, device=device).parse(system)
        found = (retriever % depth).transform(asked)
    without = asked["qid"][~asked["qid"].isin(found["qid"])]
    if len(without):
        logger.warning("%d of %d questions have no passage to read, and count 0 (%s)", len(without), len(asked), examples(without))
    return found


def open_readers(names: tuple[str, ...], *, device: str | None = None, verbose: bool = False) -> dict[str, AnswerReader]:
    """Readers by name: ``NAME=CHECKPOINT``, or a checkpoint alone; ``nearest-name`` is the one without a model.

    Raises:
        ModelError: a checkpoint does not open.
        UsageError: two have the same name.
    """
    readers: dict[str, AnswerReader] = {}
    for text in names:
        name, _, checkpoint = text.rpartition("=")
        name = name or checkpoint
        if name in readers:
            raise UsageError(f"two readers are called {name}; name them apart: NAME={checkpoint}")
        opened = NearestName() if checkpoint == NEAREST_NAME else Reader.from_pretrained(checkpoint, device=device)
        readers[name] = AnswerReader(opened, verbose=verbose)
    return readers
