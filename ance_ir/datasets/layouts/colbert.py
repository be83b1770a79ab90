"""ColBERT's training folders: triples by numbers, a collection, queries.

========================  =========================================================================================================
``collection.tsv``        pid, passage and, where it has one, title, with tabs between them; a pid is the number of its line, from 0
``queries.SPLIT.tsv``     qid, tab, text; or ``queries.tsv``
``triples.SPLIT.jsonl``   ``[qid, positive, negative, …]`` a line, or ``[qid, [positive, score], [negative, score], …]``
========================  =========================================================================================================

Triples may be a file of any name with ``triples`` or ``examples`` in it, also ``triples.tsv`` of three ids a line. Without SPLIT they are
for training. ``qrels.SPLIT.tsv`` are judgements, as in MS MARCO's folders; without them positives are.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ance_ir.compression import find_file, plain_name
from ance_ir.datasets.contents import Contents, LossError
from ance_ir.datasets.distinct import Numbering
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingInstance, TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._kinds import split_named
from ance_ir.datasets.layouts._msmarco import find_parts
from ance_ir.datasets.layouts._records import RecordFiles
from ance_ir.datasets.layouts._triples import are_triples, parse_triple, triples
from ance_ir.datasets.layouts._writing import alike, write_columns, write_json_lines
from ance_ir.datasets.layouts.msmarco_passage import NAMES
from ance_ir.datasets.parsing import read_columns, read_queries
from ance_ir.datasets.screening import Document
from ance_ir.datasets.table import Table
from ance_ir.errors import DatasetError, UsageError
from ance_ir.files import atomic_folder

_CORPUS = "collection.tsv"
_BATCH = 1024

T = TypeVar("T")


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    folder = path if path.is_dir() else path.parent
    corpus = find_file(folder, _CORPUS)
    found = [file for file in (sorted(folder.iterdir()) if path.is_dir() else [path]) if file.is_file() and _is_triples(file)]
    if columns or corpus is None or not found:
        return None
    parts = find_parts(folder, NAMES, [corpus], partial(read_columns, corpus, ("docno", "text", "title"), optional=1))
    queries = dict(parts.queries)
    splits: dict[str, list[Table]] = {}
    for file in found:
        split = _split(file, queries)
        splits.setdefault(split, []).append(triples(file))
        if split not in queries:
            queries[split] = partial(read_queries, _queries_of(folder, file, split))
    own = RecordFiles(splits=splits, parse=parse_triple, joined=True, texts=False).parts()
    files = [*parts.files, *own.files, *filter(None, [find_file(folder, "queries.tsv")])]
    parts = replace(parts, queries=queries, qrels={**own.qrels, **parts.qrels}, instances=own.instances, files=files)
    return FileDataset(path, name, parts, layout="colbert", holds=LAYOUT.holds)


def _is_triples(path: Path) -> bool:
    name = plain_name(path.name)
    return bool(re.fullmatch(r"(?!qidpid).*(triples|examples).*\.(jsonl?|tsv)", name)) and are_triples(path)


def _split(path: Path, queries: Collection[str]) -> str:
    """The split of triples: a name that queries have, ``train`` where there is none."""
    match = re.fullmatch(r"[^.]*\.(?P<split>.+)\.\w+", plain_name(path.name))
    return match["split"] if match and match["split"] in queries else split_named([Path(plain_name(path.name)).stem])


def _queries_of(folder: Path, path: Path, split: str) -> Path:
    found = find_file(folder, "queries.tsv")
    if found is None:
        raise DatasetError(f"{folder} has no queries for {path.name}: neither queries.{split}.tsv nor queries.tsv")
    return found


def _write(contents: Contents, out: Path) -> None:
    """A folder. Ids stay as they are, where these are ColBERT's numbers; where they were given up, they are numbered."""
    if Path(out.name).suffix:
        raise UsageError(
            f"{out.name} is the name of a file; ColBERT's collection, queries and triples are a folder: give a name without ending"
        )
    with atomic_folder(out, _CORPUS) as folder:
        docnos = Numbering()
        write_columns(folder / _CORPUS, _lines(contents.documents(), docnos, kept=contents.keeps("docno")))
        qids = Numbering()
        for split in contents.splits:
            queries = contents.queries(split)
            numbers = _numbered(queries["qid"], qids, kept=contents.keeps("qid"))
            write_columns(folder / f"queries.{split}.tsv", zip(numbers.values(), queries["query"], strict=True))
            name = f"triples.{split}.jsonl"
            write_json_lines(folder / name, _triples(contents.instances(split), numbers.__getitem__, docnos, name))


def _lines(documents: Iterable[Document], docnos: Numbering, *, kept: bool) -> Iterator[list[str]]:
    """The columns of the collection: a document's number, which is that of its line, its text, and its title, where it has one.

    Raises:
        LossError: docnos are to be kept, and one is not its line's number.
    """
    for number, batch in _batches(documents):
        docnos.add([document["docno"] for document in batch])
        for line, document in enumerate(batch, start=number):
            if kept and document["docno"] != str(line):
                expected = f"the document {document['docno']!r} would be {line} in {_CORPUS}, where documents are numbered from 0"
                raise LossError(f"{expected}; to give up their ids: --drop docno")
            yield [str(line), document["text"], *filter(None, [document.get("title")])]


def _numbered(qids: Iterable[str], known: Numbering, *, kept: bool) -> dict[str, str]:
    """What stands for qids: themselves where they are integers, or numbers.

    Raises:
        LossError: qids are to be kept, and one is no integer.
    """
    qids = list(qids)
    if not kept:
        return dict(zip(qids, map(str, known.add(qids)[0].tolist()), strict=True))
    if other := next((qid for qid in qids if not _is_number(qid)), None):
        raise LossError(f"ColBERT's qids are integers, and {other!r} is none; to give them up: --drop qid")
    return {qid: qid for qid in qids}


def _triples(instances: Iterable[TrainingInstance], number_of: Callable[[str], str], docnos: Numbering, name: str) -> Iterator[list[Any]]:
    """The lists of instances.

    Raises:
        DatasetError: one names a document that is not in the corpus.
    """
    for _, batch in _batches(alike(instances, name)):
        named = [docno for instance in batch for docno in (*instance.positives, *instance.negatives)]
        numbers, new = docnos.add(named)
        if new.any():
            raise DatasetError(f"the document {named[int(new.argmax())]!r} of a training query is not in the corpus")
        rest = iter(numbers.tolist())
        for instance in batch:
            yield from _lists(int(number_of(instance.qid)), instance, rest)


def _lists(qid: int, instance: TrainingInstance | TrainingRecord, numbers: Iterator[int]) -> Iterator[list[Any]]:
    """For each positive the qid, the positive and all negatives, with their scores where there are scores.

    Args:
        qid: of the query.
        instance: has the scores.
        numbers: of its positives and negatives, which are taken.
    """
    positives: list[Any] = list(islice(numbers, len(instance.positives)))
    negatives: list[Any] = list(islice(numbers, len(instance.negatives)))
    if instance.positive_scores:
        positives = [[pid, float(score)] for pid, score in zip(positives, instance.positive_scores, strict=True)]
        negatives = [[pid, float(score)] for pid, score in zip(negatives, instance.negative_scores, strict=True)]
    for positive in positives:
        yield [qid, positive, *negatives]


def _write_records(records: Iterable[TrainingRecord], path: Path) -> None:
    """A folder of the queries and passages of the records, numbered, each text on one line; or, under the name of a file, the triples
    alone: their ids must be numbers then, those of a collection that ColBERT has already.
    """
    records = alike(records, path.name)
    if Path(path.name).suffix:
        write_json_lines(path, _of_numbers(records))
        return
    with atomic_folder(path, _CORPUS) as folder, contextlib.ExitStack() as stack:
        names = (_CORPUS, "queries.train.tsv", "triples.train.jsonl")
        corpus, queries, triples = (stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n")) for name in names)
        docnos, qids = Numbering(), Numbering()
        for _, batch in _batches(records):
            documents = [document for record in batch for document in (*record.positives, *record.negatives)]
            pids, new = docnos.add([document["docno"] for document in documents])
            for at in new.nonzero()[0]:
                document = documents[at]
                title = filter(None, [_flat(document.get("title", ""))])
                corpus.write("\t".join([str(pids[at]), _flat(document["text"]), *title]) + "\n")
            numbers, new = qids.add([record.qid for record in batch])
            queries.writelines(f"{numbers[at]}\t{_flat(batch[at].query)}\n" for at in new.nonzero()[0])
            rest = iter(pids.tolist())
            for number, record in zip(numbers.tolist(), batch, strict=True):
                triples.writelines(f"{json.dumps(line)}\n" for line in _lists(number, record, rest))


def _of_numbers(records: Iterable[TrainingRecord]) -> Iterator[list[Any]]:
    """The lists of records whose ids are numbers.

    Raises:
        UsageError: one is not.
    """
    for record in records:
        ids = [record.qid, *(document["docno"] for document in (*record.positives, *record.negatives))]
        if other := next((one for one in ids if not _is_number(one)), None):
            raise UsageError(f"ColBERT's ids are integers, and {other!r} is none: give a folder's name, for numbers and their texts")
        yield from _lists(int(record.qid), record, map(int, ids[1:]))


def _is_number(text: str) -> bool:
    """Whether an integer is written so, and in no other way."""
    return text.isascii() and text.isdigit() and str(int(text)) == text


def _flat(text: str) -> str:
    return " ".join(text.split())


def _batches(values: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """Lists of values, each with the number of its first one."""
    stream, start = iter(values), 0
    while batch := list(islice(stream, _BATCH)):
        yield start, batch
        start += len(batch)


LAYOUT = Layout(
    order=21,  # before MS MARCO's passages: the names of the collection and of queries are the same
    open=_open,
    holds=frozenset({"docno", "title", "corpus", "queries", "qid", "unjudged", "splits", "negatives", "scores"}),
    example="collection.tsv, queries.SPLIT.tsv, triples.SPLIT.jsonl",
    write=_write,
    write_records=_write_records,
    even=True,
)
