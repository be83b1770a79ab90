"""The queries of a dataset and their judgements, for who searches it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

import pandas as pd

from ance_ir.datasets import Dataset
from ance_ir.errors import DatasetNotFoundError
from ance_ir.eval.suites import suite_of


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is known of a query's documents.

    Attributes:
        qid: of the query; ``None`` if the dataset does not have it.
        judgements: labels by docno.
        relevant: the least label that counts as relevant.
    """

    qid: str | None
    judgements: dict[str, int]
    relevant: int


class Topics:
    """The queries of a dataset, read on first use: those of all splits but the training ones, unless it has no others.

    Args:
        dataset: may have no queries.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._qrels: dict[str, pd.DataFrame | None] = {}

    def suggest(self, prefix: str, limit: int) -> list[dict[str, str]]:
        """Queries to go on with, as ``qid`` and ``query``: those that begin with a text, then those with a word that does.

        Args:
            prefix: upper and lower case and white space do not count; all queries begin with an empty one.
            limit: how many, at most.
        """
        prefix = folded(prefix)
        begin = (known for text, known in self._known.items() if text.startswith(prefix))
        within = (known for text, known in self._known.items() if f" {prefix}" in text and not text.startswith(prefix))
        return [{"qid": qid, "query": query} for _, qid, query in islice(chain(begin, within), limit)]

    def judgements(self, query: str) -> Judged:
        """The judgements of the dataset's query with this text."""
        if (known := self._known.get(folded(query))) is None:
            return Judged(qid=None, judgements={}, relevant=1)
        split, qid, _ = known
        qrels = self._of_split(split)
        if qrels is None:
            return Judged(qid=qid, judgements={}, relevant=1)
        found = qrels[qrels["qid"] == qid]
        labels = {str(docno): int(label) for docno, label in zip(found["docno"], found["label"], strict=True)}
        return Judged(qid=qid, judgements=labels, relevant=suite_of(self._dataset, split).threshold)

    @cached_property
    def _known(self) -> dict[str, tuple[str, str, str]]:
        """Split, qid and query by the query's folded text; of equal texts the first."""
        known: dict[str, tuple[str, str, str]] = {}
        for split in self._splits:
            queries = self._dataset.queries(split)
            for qid, query in zip(queries["qid"], queries["query"], strict=True):
                known.setdefault(folded(query), (split, qid, query))
        return known

    @property
    def _splits(self) -> list[str]:
        return [split for split in self._dataset.splits if not split.startswith("train")] or list(self._dataset.splits)

    def _of_split(self, split: str) -> pd.DataFrame | None:
        """The judgements of a split, if it has any."""
        if split not in self._qrels:
            try:
                self._qrels[split] = self._dataset.qrels(split)
            except DatasetNotFoundError:
                self._qrels[split] = None
        return self._qrels[split]


def folded(text: str) -> str:
    """A text as it is compared with others: upper and lower case and white space do not count."""
    return " ".join(text.casefold().split())
