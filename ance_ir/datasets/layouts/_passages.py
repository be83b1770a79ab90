"""A folder of DPR's passages of Wikipedia and its questions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layouts._biencoder import biencoders
from ance_ir.datasets.layouts._files import find_corpus, of_splits
from ance_ir.datasets.rows import DocumentColumns, read_documents
from ance_ir.datasets.sources.questions import read_questions
from ance_ir.datasets.tables import open_table

CORPUS = "psgs_w100.tsv"
"""The file of the passages."""
_COLUMNS = DocumentColumns(docno="id", text="text")
_HOLDS = frozenset({"docno", "title", "corpus", "queries", "answers", "unjudged", "splits"})


def open_folder(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    """The dataset of the passages at a path, with the questions beside them; ``None`` if they are not there."""
    corpus = find_corpus(path, CORPUS)
    if columns or corpus is None:
        return None
    questions, training = of_splits(path, r"(?P<split>.+)\.qa\.csv"), of_splits(path, r"biencoder-(?P<split>.+)\.json")
    short = _short_names({**questions, **training})
    records = biencoders({short[split]: [open_table(file)] for split, file in training.items()}).parts()
    asked = {short[split]: file for split, file in questions.items() if split not in training}
    parts = replace(
        records,
        corpus=[corpus],
        documents=partial(read_documents, [(open_table(corpus), _COLUMNS)]),
        queries={**records.queries, **{split: partial(_queries, file) for split, file in asked.items()}},
        answers={**records.answers, **{split: partial(_answers, file) for split, file in asked.items()}},
        files=[*records.files, *asked.values()],
    )
    return FileDataset(path, name, parts, layout="dpr", holds=_HOLDS)


def _short_names(names: Collection[str]) -> dict[str, str]:
    """Names without the first part where that is the same: ``nq-dev`` and ``nq-test`` are ``dev`` and ``test``."""
    alike = len({name.partition("-")[0] for name in names}) == 1
    return {name: (alike and name.partition("-")[2]) or name for name in names}


def _answers(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    return ((str(number), question, answers) for number, (question, answers) in enumerate(read_questions(path)))


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    return ((qid, question) for qid, question, _ in _answers(path))
