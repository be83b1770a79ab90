"""A folder of DPR's passages of Wikipedia and its questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ance_ir.datasets.file_dataset import FileDataset, Parts
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
    questions = _short(of_splits(path, r"(?P<split>.+)\.qa\.csv"))
    parts = Parts(
        corpus=[corpus],
        documents=partial(read_documents, [(open_table(corpus), _COLUMNS)]),
        queries={split: partial(_queries, file) for split, file in questions.items()},
        answers={split: partial(_answers, file) for split, file in questions.items()},
        files=list(questions.values()),
    )
    return FileDataset(path, name, parts, layout="dpr", holds=_HOLDS)


def _short(found: Mapping[str, Path]) -> dict[str, Path]:
    """Files by their names without the first part where that is the same: ``nq-dev`` and ``nq-test`` are ``dev`` and ``test``."""
    alike = len({name.partition("-")[0] for name in found}) == 1
    return {(alike and name.partition("-")[2]) or name: path for name, path in found.items()}


def _answers(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    return ((str(number), question, answers) for number, (question, answers) in enumerate(read_questions(path)))


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    return ((qid, question) for qid, question, _ in _answers(path))
