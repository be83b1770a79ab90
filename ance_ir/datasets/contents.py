"""What of a dataset is written in another layout; nothing is lost that was not given up by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingInstance, TrainingRecord, with_texts
from ance_ir.datasets.screening import Document
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.notices import examples

FIELDS = {
    "docno": "the ids of documents",
    "title": "titles",
    "url": "URLs",
    "corpus": "documents that no training query names",
    "queries": "queries, judgements and all that belongs to them",
    "qid": "the ids of queries",
    "labels": "labels other than 1",
    "unjudged": "queries without judgements",
    "splits": "more than one split",
    "answers": "answers to questions",
    "negatives": "negatives",
    "scores": "a teacher's scores",
    "prompt": "instructions",
    "runs": "run files",
    "lines": "tabs and ends of lines in texts",
}
"""What a layout may be able to hold in addition to the documents' texts. Where ``lines`` are dropped, there are spaces in their place."""


class LossError(UsageError):
    """A layout cannot hold what a dataset has."""


class Contents:
    """The contents of a dataset, as far as a layout can hold them.

    Args:
        dataset: what is written.
        layout: the layout's name, for messages.
        holds: what it can hold; the rest is dropped where the user said so, and refused otherwise.
        drop: fields that are dropped.
        splits: what to write; by default all.
        verbose: show progress.

    Raises:
        LossError: the layout cannot hold something that the dataset is known to have.
        DatasetNotFoundError: no such split.
    """

    def __init__(
        self,
        dataset: Dataset,
        layout: str,
        holds: frozenset[str],
        *,
        drop: Collection[str] = (),
        splits: Collection[str] = (),
        verbose: bool = False,
    ) -> None:
        self.dataset = dataset
        self.layout = layout
        self.verbose = verbose
        self._dropped = set(drop)
        self._kept = holds - set(drop)
        self._refused = set(FIELDS) - holds - set(drop)
        self.splits = () if "queries" in drop else tuple(splits) or dataset.splits
        if missing := [split for split in self.splits if not dataset.has_split(split)]:
            raise DatasetNotFoundError(f"{dataset.name} has no split {missing[0]!r}; splits: {', '.join(dataset.splits) or 'none'}")
        self._found = self._known()
        self._refuse(self._found)

    def keeps(self, field: str) -> bool:
        """Whether a field is written: the layout holds it, and it was not given up."""
        return field in self._kept

    def has(self, field: str) -> bool:
        """Whether the dataset is known to have a field, before documents are read, and it is written."""
        return field in self._found and field in self._kept

    def documents(self) -> Iterator[Document]:
        """The usable documents.

        Raises:
            LossError: one has a title or URL, tabs or ends of lines that the layout cannot hold.
        """
        named = self._named() if "corpus" in self._dropped else None
        for document in self.dataset.usable_documents(self.verbose):
            if named is None or document["docno"] in named:
                yield self._reduced(document)

    def _named(self) -> set[str]:
        """The docnos that training instances name."""
        instances = (instance for split in self.splits if self.qrels(split) is not None for instance in self.instances(split))
        return {docno for instance in instances for docno in (*instance.positives, *instance.negatives)}

    def queries(self, split: str) -> pd.DataFrame:
        """Frame of ``qid`` and ``query``.

        Raises:
            LossError: one has tabs or ends of lines, and the layout cannot hold them.
        """
        queries = self.dataset.queries(split)
        if "lines" in self._kept or not queries["query"].map(_has_lines).any():
            return queries
        self._refuse(["lines"])
        return queries.assign(query=queries["query"].map(_in_one_line))

    def all_queries(self) -> pd.DataFrame:
        """Frame of ``qid`` and ``query``: the queries of all splits, each once.

        Raises:
            UsageError: a qid stands for another query in another split.
        """
        if not self.splits:
            return pd.DataFrame(columns=["qid", "query"])
        found = pd.concat([self.queries(split) for split in self.splits]).drop_duplicates(["qid", "query"])
        if len(twice := found["qid"][found["qid"].duplicated()]):
            raise UsageError(
                f"the layout {self.layout} has one list of queries for all splits, and {len(twice)} qids of {self.dataset.name} "
                f"({examples(twice)}) stand for another query in another split: write one split, see --split"
            )
        return found

    def qrels(self, split: str) -> pd.DataFrame | None:
        """Frame of ``qid``, ``docno`` and ``label``, relevant documents alone where labels are dropped; ``None`` if there are none."""
        try:
            qrels = self.dataset.qrels(split)
        except DatasetNotFoundError:
            return None
        return qrels if "labels" in self._kept else qrels[qrels["label"] > 0].assign(label=1)

    def answers(self, split: str) -> pd.DataFrame | None:
        """Frame of ``qid``, ``query`` and ``answers``; ``None`` if there are none, or they are dropped."""
        try:
            return self.dataset.answers(split) if "answers" in self._kept else None
        except DatasetNotFoundError:
            return None

    def runs(self, split: str) -> Mapping[str, Path]:
        """The run files of a split, by name."""
        return self.dataset.runs(split) if isinstance(self.dataset, FileDataset) and "runs" not in self._dropped else {}

    def has_negatives(self, split: str) -> bool:
        """Whether training instances have more than the judgements, of what is kept."""
        try:
            return bool(self._of_instances(split, {*_ATTRIBUTES} & self._kept))
        except DatasetNotFoundError:
            return False

    def instances(self, split: str) -> Iterator[TrainingInstance]:
        """The training instances of a split.

        Raises:
            LossError: one has something that the layout cannot hold.
        """
        for instance in self.dataset.instances(split):
            self._refuse([name for name, value in _parts(instance).items() if value])
            kept = {name: getattr(instance, name) for field in self._kept for name in _ATTRIBUTES.get(field, ())}
            yield TrainingInstance(qid=instance.qid, positives=instance.positives, **kept)

    def records(self, split: str) -> Iterator[TrainingRecord]:
        """The training records of a split.

        Raises:
            LossError: one has something that the layout cannot hold.
        """
        store = self.dataset.store(self.verbose)
        for record in with_texts(self.instances(split), self.dataset.queries(split), store):
            positives, negatives = (tuple(map(self._reduced, side)) for side in (record.positives, record.negatives))
            yield replace(record, positives=positives, negatives=negatives)

    def _reduced(self, document: Document) -> Document:
        fields = {name for name in ("title", "url") if document.get(name)}
        kept = {name: value for name, value in document.items() if name in ("docno", "text") or name in self._kept}
        if "lines" not in self._kept and any(map(_has_lines, kept.values())):
            fields.add("lines")
            kept = {name: _in_one_line(value) for name, value in kept.items()}
        self._refuse(fields)
        return kept

    def _known(self) -> set[str]:
        """The fields that the dataset is known to have, before the corpus is read."""
        dataset = self.dataset
        found = {"docno", "corpus", "qid"}
        if dataset.holds is not None:
            found &= dataset.holds
        if not self.splits:
            return found - {"qid"}
        found |= {"queries"} | ({"splits"} if len(self.splits) > 1 else set())
        for split in self.splits:
            found |= self._of_split(split)
        return found & set(FIELDS)

    def _of_split(self, split: str) -> set[str]:
        found: set[str] = set()
        try:
            qrels = self.dataset.qrels(split)
        except DatasetNotFoundError:
            found.add("unjudged")
        else:
            found |= {"labels"} if (qrels["label"] != 1).any() else set()
            found |= {"unjudged"} if not self.dataset.queries(split)["qid"].isin(qrels["qid"]).all() else set()
            found |= self._beyond_judgements(split)
        if self._answered(split):
            found.add("answers")
        if self.runs(split):
            found.add("runs")
        return found

    def _beyond_judgements(self, split: str) -> set[str]:
        """What training instances have that would be refused, or what a catalogue says."""
        if (counts := self.dataset.catalogued(split)) is not None:
            return {"negatives"} if {"negatives", "candidates"} & set(counts) else set()
        return self._of_instances(split, {*_ATTRIBUTES} & self._refused)

    def _of_instances(self, split: str, fields: set[str]) -> set[str]:
        """Those of some fields that training instances have; they are read until all are found."""
        found: set[str] = set()
        if isinstance(self.dataset, FileDataset) and split not in self.dataset.parts.instances:
            return found  # they have no more than the judgements
        for instance in self.dataset.instances(split) if fields else ():
            found |= {name for name, value in _parts(instance).items() if value and name in fields}
            if found == fields:
                break
        return found

    def _answered(self, split: str) -> bool:
        try:
            return bool(self.dataset.answers(split)["answers"].map(len).any())
        except DatasetNotFoundError:
            return False

    def _refuse(self, found: Collection[str]) -> None:
        lost = [name for name in FIELDS if name in found and name in self._refused]
        if "queries" in lost:  # with them goes all that belongs to them
            lost = [name for name in lost if name in ("queries", "docno", "title", "url")]
        if lost:
            what = ", ".join(f"{name} ({FIELDS[name]})" for name in lost)
            remedy = " ".join(f"--drop {name}" for name in lost)
            raise LossError(f"the layout {self.layout} cannot hold {what} of {self.dataset.name}; to leave them out: {remedy}")


def _has_lines(text: str) -> bool:
    return "\n" in text or "\t" in text or "\r" in text


def _in_one_line(text: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", text)


_ATTRIBUTES = {"negatives": ("negatives",), "scores": ("positive_scores", "negative_scores"), "prompt": ("prompt",)}


def _parts(found: TrainingInstance) -> dict[str, bool]:
    """The fields that an instance has."""
    return {field: any(getattr(found, name) for name in names) for field, names in _ATTRIBUTES.items()}
