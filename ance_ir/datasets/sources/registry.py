"""Datasets by name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.sources.directory import DirectoryDataset
from ance_ir.datasets.sources.irds import IrDataset, find_ir_dataset
from ance_ir.datasets.sources.questions import QuestionFile
from ance_ir.datasets.sources.stdlib import NAME as STDLIB
from ance_ir.datasets.sources.stdlib import python_stdlib
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path

EMBEDDED = {STDLIB: python_stdlib}

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
"""Short names of our own for ids of ``ir_datasets``."""

WIKIPEDIA = "dpr-w100"
"""The ``ir_datasets`` id of DPR's 21 million passages of Wikipedia."""

QUESTIONS = {
    "nq": ("nq-test.qa.csv", "topics.nq.test.txt"),
    "triviaqa": ("trivia-test.qa.csv", "topics.dpr.trivia.test.txt"),
    "curated-trec": ("curatedtrec-test.qa.csv", "topics.dpr.curated.test.txt"),
}
"""Questions over these passages that ``ir_datasets`` does not hold, and the names that DPR and Pyserini give the file."""

_QUESTION_FOLDERS = (".", "qa-topics")


def load_dataset(name: str | Path) -> Dataset:
    """The dataset of that name; nothing of it is read yet.

    Args:
        name: in this order, a collection directory; the name of one under ``$ANCE_IR_DATA``; an embedded collection;
            ``nq``, ``triviaqa`` or ``curated-trec``: test questions from a file over DPR's passages; an id of ``ir_datasets`` or one
            of our aliases for it.

    Raises:
        DatasetNotFoundError: none of these.
        DatasetError: a collection directory that is ambiguous.
    """
    if as_path(name).is_dir() or isinstance(name, Path):
        return DirectoryDataset(name)
    data = os.environ.get("ANCE_IR_DATA")
    data = data and str(as_path(data))
    if data and (Path(data) / name).is_dir():
        return DirectoryDataset(Path(data) / name, name)
    if name in EMBEDDED:
        return EMBEDDED[name]()
    if name.removesuffix("/test") in QUESTIONS:
        return QuestionFile(IrDataset(WIKIPEDIA), _question_file(name.removesuffix("/test"), data), name)
    identifier = ALIASES.get(name, name)
    if find_ir_dataset(identifier) is not None:
        return IrDataset(identifier, name)
    raise DatasetNotFoundError(_not_found(name, data))


def _question_file(name: str, data: str | None) -> Path:
    """Where the questions of that name lie.

    Raises:
        DatasetNotFoundError: nowhere.
    """
    places = (
        [Path(data) / folder / f"{file}{end}" for folder in _QUESTION_FOLDERS for file in QUESTIONS[name] for end in ("", ".gz")]
        if data
        else []
    )
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DatasetNotFoundError(
            f"{name}'s test questions are not in ir_datasets: put DPR's {QUESTIONS[name][0]} (dl.fbaipublicfiles.com/dpr/data/retriever) "
            f"or Pyserini's {QUESTIONS[name][1]}, plain or .gz, into the folder that ANCE_IR_DATA names ({data or 'not set'})"
        )
    return found


def _not_found(name: str, data: str | None) -> str:
    import ir_datasets

    local = sorted(path.name for path in Path(data).iterdir() if path.is_dir()) if data and Path(data).is_dir() else []
    ours = [*local, *EMBEDDED, *ALIASES, *QUESTIONS]
    close = difflib.get_close_matches(name, [*ours, *ir_datasets.registry], n=5)
    return (
        f"no dataset {name!r}: looked for a directory, a folder of that name under ANCE_IR_DATA ({data or 'not set'}), "
        f"an embedded collection and an id of ir_datasets. "
        + (f"Did you mean {', '.join(close)}? " if close else "")
        + f"There are {', '.join(ours)}, and the ids of ir_datasets (https://ir-datasets.com)"
    )
