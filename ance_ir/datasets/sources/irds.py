"""An id of ir_datasets, or an alias for one. The ids below it, over the same documents, are its splits."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import answers_frame, qrels_frame, queries_frame
from ance_ir.datasets.ids import Ids, clean_ids, clean_queries
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.datasets.languages import code_or_none
from ance_ir.datasets.screening import Document, Unusable, check_document
from ance_ir.datasets.source import Source
from ance_ir.datasets.sources._catalogue import asks_the_same, catalogue, children, corpus_of, fetch, find, load
from ance_ir.datasets.sources._catalogued_instances import of_candidates, of_labels, of_pairs
from ance_ir.digests import digest_bytes
from ance_ir.errors import DatasetError, DatasetNotFoundError

ALIASES = {
    "trec-dl-2019": "msmarco-passage/trec-dl-2019/judged",
    "trec-dl-2020": "msmarco-passage/trec-dl-2020/judged",
    "trec-dl-2019/passage": "msmarco-passage/trec-dl-2019/judged",
    "trec-dl-2020/passage": "msmarco-passage/trec-dl-2020/judged",
    "trec-dl-2019/document": "msmarco-document/trec-dl-2019/judged",
    "trec-dl-2020/document": "msmarco-document/trec-dl-2020/judged",
    "nq/dev": "dpr-w100/natural-questions/dev",
    "nq/train": "dpr-w100/natural-questions/train",
    "triviaqa/dev": "dpr-w100/trivia-qa/dev",
    "triviaqa/train": "dpr-w100/trivia-qa/train",
    "trivia-qa/dev": "dpr-w100/trivia-qa/dev",
    "trivia-qa/train": "dpr-w100/trivia-qa/train",
}
"""Our short names for ids of ``ir_datasets``."""

_COUNTED = {"queries": "queries", "judgements": "qrels", "negatives": "docpairs", "candidates": "scoreddocs"}
"""What the catalogue counts, by our names."""

_NEGATIVE = "negative sample"
"""Its definition of a label says so where negatives for training are among the judgements."""


class IrDataset(Dataset):
    """A dataset of ``ir_datasets``.

    Its splits are the ids below its own that have queries over the same documents: ``dev/small`` of ``msmarco-passage`` are the queries of
    ``msmarco-passage/dev/small``. An id's own queries are the split ``test``, unless there is an id of that name below it; they also answer
    to what the id ends with, which is ``train`` for ``msmarco-passage/train``.

    Args:
        identifier: the ``ir_datasets`` id.
        name: its name; by default the id.

    Raises:
        DatasetNotFoundError: there is no such id. Reading raises it if a download fails.
    """

    def __init__(self, identifier: str, name: str | None = None) -> None:
        self.identifier = identifier
        self.name = name or identifier
        load(identifier)

    @property
    def fingerprint(self) -> str:
        """Hash of the id, whose content the catalogue verifies by checksum."""
        return digest_bytes([f"ir_datasets {self.identifier}".encode()])

    @property
    def corpus_fingerprint(self) -> str:
        """Hash of the id of the corpus, which datasets derived from it share."""
        holder = corpus_of(self.identifier) if load(self.identifier).has_docs() else self.identifier
        return digest_bytes([f"ir_datasets {holder}".encode()])

    @property
    def language(self) -> str | None:
        """That of the documents in the catalogue, or of the queries where it names none for these."""
        source = load(self.identifier)
        named = (source.docs_lang() if source.has_docs() else None) or (source.queries_lang() if source.has_queries() else None)
        return code_or_none(named)

    @property
    def splits(self) -> tuple[str, ...]:
        """``"test"`` if there are queries of that name or of the id itself, then the others by name. Nothing is downloaded to find them."""
        below = children(self.identifier)
        first = ("test",) if "test" in below or load(self.identifier).has_queries() else ()
        return (*first, *(split for split in below if split != "test"))

    def has_split(self, split: str) -> bool:
        """Whether there is a set of queries of that name."""
        try:
            return bool(self.queries_name(split))
        except DatasetNotFoundError:
            return False

    def queries_name(self, split: str = "test") -> str:
        """The id of a split's queries.

        Raises:
            DatasetNotFoundError: no such split.
        """
        below = f"{self.identifier}/{split}"
        if asks_the_same(self.identifier, below):
            return below
        own = load(self.identifier)
        if (own.has_queries() or own.has_qrels()) and (split == "test" or self.identifier.endswith(f"/{split}")):
            return self.identifier
        raise DatasetNotFoundError(f"{self.name} has no split {split!r}{_hint(self.identifier, split, self.splits)}")

    def documents(self) -> Documents:
        """The corpus; with title and url apart from the text if the source has them so."""
        source = _having("docs", self.identifier)
        return Documents(partial(_documents, self.identifier), count=source.docs_metadata().get("count"))

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str).

        Raises:
            DatasetNotFoundError: no such split, or its queries cannot be downloaded.
        """
        identifier = self.queries_name(split)
        source = _having("queries", identifier)
        rows = [(query.query_id, _text(query)) for query in fetch(identifier, source.queries_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "query"])
        return queries_frame(clean_queries(frame, f"the queries of {identifier}", error=DatasetError).itertuples(index=False))

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64).

        Raises:
            DatasetNotFoundError: no such split, it has no judgements, or they cannot be downloaded.
        """
        identifier = self.queries_name(split)
        source = _having("qrels", identifier)
        rows = [(qrel.query_id, qrel.doc_id, qrel.relevance) for qrel in fetch(identifier, source.qrels_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "docno", "label"])
        return qrels_frame(clean_qrels(frame, f"the judgements of {identifier}", error=DatasetError).itertuples(index=False))

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str).

        Raises:
            DatasetNotFoundError: no such split, its queries have no answers, or they cannot be downloaded.
        """
        identifier = self.queries_name(split)
        source = _having("queries", identifier)
        if "answers" not in source.queries_cls()._fields:
            raise DatasetNotFoundError(f"{identifier} has no answers")
        queries = fetch(identifier, source.queries_iter)
        frame = pd.DataFrame(
            [(query.query_id, _text(query), list(query.answers)) for query in queries], columns=["qid", "query", "answers"]
        )
        return answers_frame(clean_queries(frame, f"the questions of {identifier}", error=DatasetError).itertuples(index=False))

    def instances(self, split: str = "train") -> Iterator[TrainingInstance]:
        """What the queries of a split are trained with. Negatives are the second documents of its pairs (``docpairs``, published triples);
        where there are none, documents whose label the catalogue says to be that of negative samples (DPR's); else candidates
        (``scoreddocs``) that are not judged relevant. Pairs and candidates are a stream.

        Raises:
            DatasetNotFoundError: no such split, it has no judgements, or what it has cannot be downloaded.
        """
        identifier = self.queries_name(split)
        source = _having("qrels", identifier)
        qrels = self.qrels(split)
        if source.has_docpairs():
            return of_pairs(fetch(identifier, source.docpairs_iter), qrels, f"the pairs of {identifier}")
        if negative := _negative_labels(source):
            return of_labels(qrels, negative)
        if source.has_scoreddocs():
            return of_candidates(fetch(identifier, source.scoreddocs_iter), qrels, f"the candidates of {identifier}")
        return super().instances(split)

    def catalogued(self, split: str = "test") -> Mapping[str, int]:
        """The counts that the catalogue has; nothing is downloaded.

        Raises:
            DatasetNotFoundError: no such split.
        """
        source = load(self.queries_name(split))
        counts = {name: getattr(source, f"{part}_metadata")().get("count") for name, part in _COUNTED.items() if source.has(part)}
        labels = source.qrels_metadata().get("fields", {}).get("relevance", {}).get("counts_by_value", {}) if source.has_qrels() else {}
        if labels:
            counts["relevant"] = sum(count for label, count in labels.items() if int(label) > 0)
            if "negatives" not in counts and (negative := _negative_labels(source)):
                counts["negatives"] = sum(labels.get(str(label), 0) for label in negative)
        return {name: count for name, count in counts.items() if count is not None}

    def has_candidates(self, split: str = "test") -> bool:
        """Whether there is a run of candidates to rerank.

        Raises:
            DatasetNotFoundError: no such split.
        """
        return bool(load(self.queries_name(split)).has_scoreddocs())

    def candidates(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``score`` (float64).

        Raises:
            DatasetNotFoundError: no such split, it has none, or they cannot be downloaded.
        """
        identifier = self.queries_name(split)
        source = _having("scoreddocs", identifier)
        rows = [(found.query_id, found.doc_id, found.score) for found in fetch(identifier, source.scoreddocs_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "docno", "score"])
        frame = clean_ids(frame, ("qid", "docno"), f"the candidates of {identifier}", error=DatasetError)
        return frame.astype({"qid": str, "docno": str, "score": float})


def _having(part: str, identifier: str) -> Any:
    """The ``ir_datasets`` object of an id that has that part."""
    source = load(identifier)
    if not source.has(part):
        raise DatasetNotFoundError(f"{identifier} has no {part}")
    return source


def _hint(identifier: str, split: str, splits: tuple[str, ...]) -> str:
    """What there is in place of a split that an id does not have."""
    below = f"{identifier}/{split}"
    if (other := find(below)) is not None and other.has_queries():
        return f": {below} has other documents, and is a dataset of its own"
    near = difflib.get_close_matches(split, splits, n=3)
    did = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    corpus = corpus_of(identifier) if load(identifier).has_docs() else identifier
    over = [f"{corpus}/{child}" for child in children(corpus) if f"/{child}".endswith(f"/{split}")] if corpus != identifier else []
    also = f" Over the same documents there are {', '.join(over)}." if over else ""
    return f"{did} Its splits: {', '.join(splits) or 'none'}.{also}"


def _documents(identifier: str) -> Iterator[Document | Unusable]:
    source = _having("docs", identifier)
    ids = Ids(identifier)
    for place, record in enumerate(fetch(identifier, source.docs_iter), start=1):
        document = {"docno": record.doc_id}
        if {"text", "body"} & set(record._fields):
            document.update((field, value) for field in ("title", "url") if (value := getattr(record, field, None)) not in (None, ""))
        document["text"] = _text(record)
        yield check_document(document, f"{identifier}, document {place}", ids)
    ids.report()


def _text(record: Any) -> Any:
    """The text of a document or query: its text field, else the catalogue's default text, else all strings except ids. Unchecked."""
    for field in ("text", "body"):
        if field in record._fields:
            return getattr(record, field)
    if hasattr(record, "default_text"):
        return record.default_text()
    return " ".join(value for field, value in record._asdict().items() if isinstance(value, str) and not field.endswith("_id"))


def _negative_labels(source: Any) -> list[int]:
    """The labels that the catalogue says to be those of negative samples, the highest, of hard ones, first; none for most ids."""
    try:
        definitions: dict[int, str] = source.qrels_defs() if source.has_qrels() else {}
    except NotImplementedError:  # of a dataset that somebody registered
        return []
    return sorted((label for label, says in definitions.items() if _NEGATIVE in says), reverse=True)


def _open(name: str) -> IrDataset | None:
    identifier = ALIASES.get(name, name)
    return None if find(identifier) is None else IrDataset(identifier, name)


SOURCE = Source(order=3, open=_open, names=lambda: ALIASES, more=catalogue)
