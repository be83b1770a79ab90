"""Reading of training files: records of a query with passages that answer it and passages that do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import pandas as pd

from ance_ir.datasets.distinct import Distinct
from ance_ir.datasets.file_dataset import Parts
from ance_ir.datasets.frames import qrels_frame
from ance_ir.datasets.ids import Ids, InvalidIdError, as_text, text_id
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.layouts._joining import joined
from ance_ir.datasets.layouts._margins import on_one_scale
from ance_ir.datasets.layouts._sample import Passage, Sample
from ance_ir.datasets.rows import DocumentColumns, read_documents
from ance_ir.datasets.screening import NO_DOCUMENT, UNDECODABLE, Document, Unusable
from ance_ir.datasets.table import Table
from ance_ir.errors import DatasetError, MalformedFileError

_BATCH = 256

T = TypeVar("T")


class Record:
    """The values of a record, with the errors that name it.

    Args:
        table: its file.
        number: its place there.
        values: by column.
        ids: checks ids.
    """

    __slots__ = ("_ids", "_table", "number", "values")

    def __init__(self, table: Table, number: int, values: dict[str, Any], ids: Ids) -> None:
        self._table = table
        self.number = number
        self.values = values
        self._ids = ids

    def error(self, expected: str, hint: str = "") -> MalformedFileError:
        """The error that says what was expected of the record."""
        return self._table.error(self.number, self.values, expected, hint)

    def text(self, key: str) -> str:
        """The string under a key."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.error(f"a string under the key {key!r}")
        return value

    def optional_text(self, key: str) -> str:
        """The string under a key; empty if there is none."""
        return "" if self.values.get(key) is None else self.text(key)

    def texts(self, key: str) -> list[str]:
        """The strings under a key, which may be missing."""
        found: list[str] = self._list(key)
        if not _are_texts(found):
            raise self.error(f"a list of strings under the key {key!r}")
        return found

    def ids(self, key: str) -> list[str]:
        """The docnos under a key, which may be missing."""
        return self._ids_in(self._list(key), key, "docno")

    def qid(self, key: str) -> str:
        """The qid under a key; empty if there is none."""
        value = self.values.get(key)
        return "" if value is None else self._ids_in([value], key, "qid")[0]

    def passages(self, key: str, docno: Collection[str]) -> list[Passage]:
        """The passages under a key, which may be missing: objects with a ``text``, and perhaps a ``title`` and an id.

        Args:
            key: of the list.
            docno: keys that an id may have.
        """
        return self._passages(self._list(key), docno, f" in the list under the key {key!r}")

    def _passages(self, values: list[Any], docno: Collection[str], where: str) -> list[Passage]:
        try:
            key = next((name for name in docno for value in values[:1] if value.get(name) is not None), "")
            titles = ["" if (title := value.get("title")) is None else title for value in values]
            found = [(value.get(key, ""), title, value["text"]) for value, title in zip(values, titles, strict=True)]
            texts = "".join([title + text for _, title, text in found])  # fails where one is no string
        except (AttributeError, KeyError, TypeError):
            texts = None
        if not isinstance(texts, str):
            raise self.error(f"an object with strings as 'text' and, where there is one, 'title'{where}")
        if not key:
            return found
        docnos = [passage[0] for passage in found]
        cleaned = self._ids_in(docnos, key, "docno")
        return found if cleaned is docnos else [(one, *passage[1:]) for one, passage in zip(cleaned, found, strict=True)]

    def scores_in(self, key: str) -> list[float]:
        """The scores of the passages under a key, under ``score`` in each; none if one has none."""
        values = self._list(key)
        found = [value.get("score") for value in values] if values and "score" in values[0] else [None]
        return [] if None in found else [self.number_of(value, "score") for value in found]

    def scores(self, key: str, count: int) -> list[float]:
        """The scores under a key, as many as there are passages; none if there is no such key."""
        found = self._list(key)
        if found and len(found) != count:
            raise self.error(f"{count} scores under the key {key!r}, one for each passage, and not {len(found)}")
        return [self.number_of(value, key) for value in found]

    def number_of(self, value: Any, key: str) -> float:
        """A value as a number."""
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return value
        raise self.error(f"a number, or a list of numbers, under the key {key!r}")

    def _list(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if isinstance(value, list):
            return value
        if value is None:
            return []
        raise self.error(f"a list under the key {key!r}")

    def _ids_in(self, values: list[Any], key: str, kind: str) -> list[str]:
        if not _are_texts(values):
            values = [as_text(value) for value in values]
        try:
            return self._ids.clean_all(values, kind)
        except InvalidIdError as invalid:
            raise self.error(f"{invalid.expected} under the key {key!r}") from None


def _are_texts(values: list[Any]) -> bool:
    """Whether all values are strings, which is soonest seen by joining them."""
    try:
        "".join(values)
    except TypeError:
        return False
    return True


def each(parse: Callable[[Record], T], tables: Iterable[Table]) -> Iterator[T | MalformedFileError]:
    """What the records of files hold, with errors in the place of those that cannot be read, or are not as expected."""
    for table in tables:
        ids = Ids(table.path)
        for number, values in table.entries():
            try:
                found: T | MalformedFileError = (
                    values if isinstance(values, MalformedFileError) else parse(Record(table, number, values, ids))
                )
            except MalformedFileError as error:
                found = error
            yield found
        ids.report()


@dataclass(frozen=True, kw_only=True)
class RecordFiles:
    """Training files.

    Attributes:
        splits: the files of each split.
        parse: what is in a record.
        corpus: files of other documents, one in each record, with their columns.
        texts: records have the texts of their passages, and not ids alone.
        answered: records have answers.
        judged: the splits whose records have positives; by default all.
        joined: records of one query that follow each other, and differ in negatives alone or in positives alone, are one instance.
    """

    splits: Mapping[str, Sequence[Table]]
    parse: Callable[[Record], Sample]
    corpus: Sequence[tuple[Table, DocumentColumns]] = ()
    texts: bool = True
    answered: bool = False
    judged: Collection[str] | None = None
    joined: bool = False

    def parts(self) -> Parts:
        """The parts of the dataset; its documents are those of the corpus and the passages of all records, each once."""
        files = [table.path for tables in self.splits.values() for table in tables]
        judged = self.splits if self.judged is None else self.judged
        return Parts(
            corpus=[*(table.path for table, _ in self.corpus), *(files if self.texts else ())],
            documents=self._documents,
            queries={split: partial(self._queries, split) for split in self.splits},
            qrels={split: partial(self._qrels, split) for split in judged},
            instances={split: partial(self._instances, split) for split in judged},
            answers={split: partial(self._answers, split) for split in self.splits} if self.answered else {},
            files=files,
        )

    def _documents(self) -> Iterator[Document | Unusable]:
        if not self.texts:
            yield from read_documents(self.corpus)
            return
        seen, stream = Distinct(), iter(chain(self._of_corpus(), self._of_records()))
        while batch := list(islice(stream, _BATCH)):
            yield from (found for found in batch if isinstance(found, Unusable))
            passages = [passage for found in batch if not isinstance(found, Unusable) for passage in found]
            places = seen.new([passage[0] or passage for passage in passages], [passage[2] for passage in passages])
            yield from (_document(passages[place]) for place in places)
        seen.report()

    def _of_corpus(self) -> Iterator[Sequence[Passage] | Unusable]:
        for found in read_documents(self.corpus):
            yield found if isinstance(found, Unusable) else [(found["docno"], found.get("title", ""), found["text"])]

    def _of_records(self) -> Iterator[Sequence[Passage] | Unusable]:
        for tables in self.splits.values():
            for sample in each(self.parse, tables):
                yield _unusable(sample) if isinstance(sample, MalformedFileError) else [*sample.positives, *sample.negatives]

    def _samples(self, split: str) -> Iterator[Sample]:
        for sample in each(self.parse, self.splits[split]):
            if isinstance(sample, MalformedFileError):
                raise sample
            yield sample

    def _queries(self, split: str) -> Iterator[tuple[str, str]]:
        texts: dict[str, str] = {}
        for sample in self._samples(split):
            qid = _qid(sample)
            if (text := texts.setdefault(qid, sample.query)) != sample.query:
                found = f"{text[:80]!r} and {sample.query[:80]!r}"
                raise DatasetError(f"{self.splits[split][0].path}: the qid {qid!r} stands for two queries, {found}")
        return iter(texts.items())

    def _qrels(self, split: str) -> pd.DataFrame:
        pairs = {(_qid(sample), _docno(passage)): 1 for sample in self._samples(split) for passage in sample.positives}
        return qrels_frame((*pair, 1) for pair in pairs)

    def _answers(self, split: str) -> Iterator[tuple[str, str, list[str]]]:
        found: dict[str, tuple[str, list[str]]] = {}
        for sample in self._samples(split):
            found.setdefault(_qid(sample), (sample.query, list(sample.answers)))
        return ((qid, query, answers) for qid, (query, answers) in found.items())

    def _instances(self, split: str) -> Iterator[TrainingInstance]:
        samples = on_one_scale(self._samples(split), partial(self._samples, split), str(self.splits[split][0].path))
        for sample in joined(samples) if self.joined else samples:
            if sample.positives:
                yield TrainingInstance(
                    qid=_qid(sample),
                    positives=tuple(map(_docno, sample.positives)),
                    negatives=tuple(map(_docno, sample.negatives)),
                    positive_scores=tuple(sample.positive_scores),
                    negative_scores=tuple(sample.negative_scores),
                    prompt=sample.prompt,
                    margins=sample.margins,
                )


def _qid(sample: Sample) -> str:
    return sample.qid or text_id(sample.query)


def _docno(passage: Passage) -> str:
    return passage[0] or text_id(passage[1], passage[2])


def _document(passage: Passage) -> Document:
    title, text = passage[1:]
    return {"docno": _docno(passage), "title": title, "text": text} if title else {"docno": _docno(passage), "text": text}


def _unusable(error: MalformedFileError) -> Unusable:
    return Unusable(kind=UNDECODABLE if error.expected == "UTF-8" else NO_DOCUMENT, error=error)
