"""DPR's training files: questions with passages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layouts._kinds import RECORDS, find_kinds
from ance_ir.datasets.layouts._records import Record, RecordFiles
from ance_ir.datasets.layouts._sample import Sample
from ance_ir.datasets.layouts._writing import alike, check_ending, file_of_each_split
from ance_ir.datasets.screening import Document
from ance_ir.datasets.table import Table
from ance_ir.files import atomic_open

_DOCNO = ("passage_id", "psg_id")


def find_biencoders(path: Path, columns: Mapping[str, str]) -> RecordFiles | None:
    """The training files at a path; ``None`` if there are none."""
    found = find_kinds(path, "dpr", columns, {RECORDS: lambda values: "question" in values and "positive_ctxs" in values})
    return None if found is None else biencoders(found[RECORDS])


def biencoders(splits: Mapping[str, Sequence[Table]]) -> RecordFiles:
    """Training files, by split."""
    return RecordFiles(splits=splits, parse=_parse, answered=True)


def _parse(record: Record) -> Sample:
    sides = (("positive_ctxs",), ("hard_negative_ctxs", "negative_ctxs"))
    positives, negatives = ([passage for key in keys for passage in record.passages(key, _DOCNO)] for keys in sides)
    scores = ([score for key in keys for score in record.scores_in(key)] for keys in sides)
    positive_scores, negative_scores = (
        found if len(found) == len(side) else [] for found, side in zip(scores, (positives, negatives), strict=True)
    )
    answers = record.texts("answers")
    return Sample(record.text("question"), positives, negatives, "", positive_scores, negative_scores, "", answers)


def write_biencoder(records: Iterable[TrainingRecord], path: Path, answers: Mapping[str, list[str]] | None = None) -> None:
    """Write records as a list in JSON, whose negatives are hard ones.

    Args:
        records: what is written.
        path: the file.
        answers: to the questions, by qid.
    """
    check_ending(path, (".json",), "a list in JSON")
    with atomic_open(path) as stream:
        before = "[\n"
        for record in alike(records, path.name):
            stream.write(before + json.dumps(_of_record(record, (answers or {}).get(record.qid, [])), ensure_ascii=False))
            before = ",\n"
        stream.write("[]\n" if before == "[\n" else "\n]\n")


def answers_of(contents: Contents, split: str) -> dict[str, list[str]]:
    """The answers to the questions of a split, by qid, as far as they are written."""
    found = contents.answers(split)
    return {} if found is None else dict(zip(found["qid"], found["answers"], strict=True))


def write_biencoders(contents: Contents, out: Path) -> None:
    """Write a file of training records, or a folder with a file for each split."""

    def write(split: str, path: Path) -> None:
        write_biencoder(contents.records(split), path, answers_of(contents, split))

    file_of_each_split(contents, out, write, ".json")


def _of_record(record: TrainingRecord, answers: list[str]) -> dict[str, Any]:
    return {
        "question": record.query,
        "answers": answers,
        "positive_ctxs": _passages(record.positives, record.positive_scores),
        "negative_ctxs": [],
        "hard_negative_ctxs": _passages(record.negatives, record.negative_scores),
    }


def _passages(documents: Sequence[Document], scores: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {"title": document.get("title", ""), "text": document["text"]}
        | ({} if score is None else {"score": float(score)})
        | {"passage_id": document["docno"]}
        for document, score in zip_longest(documents, scores)
    ]
