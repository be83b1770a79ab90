"""A folder of DPR's passages of Wikipedia and its questions."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layouts._biencoder import answers_of, biencoders, write_biencoder
from ance_ir.datasets.layouts._files import file_of_split, find_corpus, of_splits
from ance_ir.datasets.rows import DocumentColumns, read_documents
from ance_ir.datasets.sources.questions import read_questions
from ance_ir.datasets.tables import open_table
from ance_ir.files import atomic_folder, atomic_open

CORPUS = "psgs_w100.tsv"
"""The file of the passages."""
_COLUMNS = DocumentColumns(docno="id", text="text")
HOLDS = frozenset({"docno", "title", "corpus", "queries", "splits", "answers", "unjudged", "negatives", "scores", "lines"})
"""What such a folder holds."""
OF_FOLDERS = frozenset({"corpus", "unjudged"})
"""What of that training records alone do not hold."""


def open_folder(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    """The dataset of the passages at a path, with the questions beside them; ``None`` if they are not there."""
    corpus = find_corpus(path, CORPUS)
    if columns or corpus is None:
        return None
    table = open_table(corpus)
    if (first := table.first()) and not {_COLUMNS.docno, _COLUMNS.text} <= set(first):
        raise table.error(1, list(first), "the names of the columns (id, text, title)", "Put them into a line before the passages")
    questions, training = of_splits(path, r"(?P<split>.+)\.qa\.csv"), of_splits(path, r"biencoder-(?P<split>.+)\.json")
    short = _short_names({**questions, **training})
    records = biencoders({short[split]: [open_table(file)] for split, file in training.items()}).parts()
    asked = {short[split]: file for split, file in questions.items() if split not in training}
    parts = replace(
        records,
        corpus=[corpus],
        documents=partial(read_documents, [(table, _COLUMNS)]),
        queries={**records.queries, **{split: partial(_queries, file) for split, file in asked.items()}},
        answers={**records.answers, **{split: partial(_answers, file) for split, file in asked.items()}},
        files=[*records.files, *asked.values()],
        sought={kind: partial(file_of_split, patterns=[r"NAME-(?P<split>.+)\.qa\.csv"]) for kind in ("queries", "answers")},
    )
    return FileDataset(path, name, parts, layout="dpr", holds=HOLDS)


def _short_names(names: Collection[str]) -> dict[str, str]:
    """Names without the first part where that is the same: ``nq-dev`` and ``nq-test`` are ``dev`` and ``test``."""
    alike = len({name.partition("-")[0] for name in names}) == 1
    return {name: (alike and name.partition("-")[2]) or name for name in names}


def _answers(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    return ((str(number), question, answers) for number, (question, answers) in enumerate(read_questions(path)))


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    return ((qid, question) for qid, question, _ in _answers(path))


def write_folder(contents: Contents, out: Path) -> None:
    """Write the passages, training records of splits with judgements, and questions of others. The name of the folder is that of the data,
    as ``nq`` is in ``nq-test.qa.csv``.
    """
    name = re.sub(r"\W+", "_", out.name)
    with atomic_folder(out, CORPUS) as folder:
        passages = ([one["docno"], one["text"], one.get("title", "")] for one in contents.documents())
        _write_rows(folder / CORPUS, chain([["id", "text", "title"]], passages))
        for split in contents.splits:
            answers = answers_of(contents, split)
            if (qrels := contents.qrels(split)) is None:
                queries = contents.queries(split)
                rows = ([query, repr(answers.get(qid, []))] for qid, query in zip(queries["qid"], queries["query"], strict=True))
                _write_rows(folder / f"{name}-{split}.qa.csv", rows)
                continue
            unjudged = contents.queries(split)
            unjudged = unjudged[~unjudged["qid"].isin(qrels["qid"])]
            others = (
                TrainingRecord(qid=qid, query=query, positives=()) for qid, query in zip(unjudged["qid"], unjudged["query"], strict=True)
            )
            write_biencoder(chain(contents.records(split), others), folder / f"biencoder-{name}-{split}.json", answers)


def _write_rows(path: Path, rows: Iterable[list[str]]) -> None:
    """Write columns with tabs between them, quoted as in CSV files where that is needed."""
    with atomic_open(path) as stream:
        csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(rows)
