"""Training instances: a query with documents that answer it and documents that do not, as ids alone or with their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from ance_ir.datasets.screening import Document
from ance_ir.datasets.store.documents import DocumentStore


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingInstance:
    """A query with its positives and negatives, by their ids. A query may have several instances.

    Attributes:
        qid: of the query.
        positives: docnos of documents that answer it.
        negatives: docnos of documents that do not, hard ones first.
        positive_scores: a teacher's scores of the positives, as many, or none.
        negative_scores: likewise of the negatives.
        prompt: the instruction that belongs to the query; ``""`` if there is none.
        margins: whether the scores were made of margins, so that they compare with each other alone.
    """

    qid: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    positive_scores: tuple[float, ...] = ()
    negative_scores: tuple[float, ...] = ()
    prompt: str = ""
    margins: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """A ``TrainingInstance`` with its texts, as training files have it.

    Attributes:
        qid: of the query.
        query: its text.
        positives: documents that answer it.
        negatives: documents that do not, hard ones first.
        positive_scores: a teacher's scores of the positives, as many, or none.
        negative_scores: likewise of the negatives.
        prompt: the instruction that belongs to the query; ``""`` if there is none.
    """

    qid: str
    query: str
    positives: tuple[Document, ...]
    negatives: tuple[Document, ...] = ()
    positive_scores: tuple[float, ...] = ()
    negative_scores: tuple[float, ...] = ()
    prompt: str = ""


def instances_of_qrels(qrels: pd.DataFrame) -> Iterator[TrainingInstance]:
    """An instance without negatives for each query that has a label above 0, in the order of their first ones."""
    relevant = qrels[qrels["label"] > 0]
    for qid, rows in relevant.groupby("qid", sort=False):
        yield TrainingInstance(qid=str(qid), positives=tuple(rows["docno"]))


def with_texts(instances: Iterable[TrainingInstance], queries: pd.DataFrame, store: DocumentStore) -> Iterator[TrainingRecord]:
    """The records of instances.

    Args:
        instances: what to read the texts of.
        queries: frame of ``qid`` and ``query``; instances of other queries are left out.
        store: the documents.

    Raises:
        DocumentNotFoundError: docnos that the corpus does not hold.
    """
    texts = dict(zip(queries["qid"], queries["query"], strict=True))
    for instance in instances:
        if instance.qid in texts:
            yield TrainingRecord(
                qid=instance.qid,
                query=texts[instance.qid],
                positives=tuple(store.get(instance.positives)),
                negatives=tuple(store.get(instance.negatives)),
                positive_scores=instance.positive_scores,
                negative_scores=instance.negative_scores,
                prompt=instance.prompt,
            )
