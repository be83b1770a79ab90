"""Runs of open-domain question answering in JSON, with the questions, their answers and the texts found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.reading import open_binary, parse_json


def load(path: Path, kind: type) -> Any:
    """The questions of a file.

    Args:
        path: plain or compressed.
        kind: what holds them: list or dict.

    Raises:
        MalformedFileError: it is not JSON, or of another kind.
    """
    with open_binary(path) as stream:
        value = parse_json(path, stream.read())
    if not isinstance(value, kind):
        raise MalformedFileError(path, 1, "a list of questions" if kind is list else "an object of questions", type(value).__name__)
    return value


def to_frame(path: Path, entries: Iterator[tuple[str, Any]], contexts: str, docno: str) -> pd.DataFrame:
    """The results of questions: ``qid docno score question``.

    Args:
        path: of the file, for messages.
        entries: qid and question.
        contexts: the key of a question's passages.
        docno: the key of a passage's docno.

    Raises:
        DatasetError: an entry that does not have what is expected.
    """
    rows = []
    ids = Ids(path)
    for given, value in entries:
        where = f"{path}, question {given!r}"
        qid = _id(given, "qid", where, ids)
        passages = value_of(value, contexts)
        if not isinstance(passages, list):
            raise DatasetError(f"{where}: expected a list of passages under the key {contexts!r}")
        seen = set()
        for place, passage in enumerate(passages, 1):
            identifier = _id(value_of(passage, docno), f"docno under the key {docno!r}", f"{where}, passage {place}", ids)
            score = _number(value_of(passage, "score"))
            if not math.isfinite(score):
                raise DatasetError(
                    f"{where}, passage {place}: expected a finite number under the key 'score', found {passage.get('score')!r}"
                )
            if identifier in seen:
                raise DatasetError(f"{where}: the document {identifier!r} comes twice")
            seen.add(identifier)
            rows.append((qid, identifier, score, str(value_of(value, "question", ""))))
    ids.report()
    frame = pd.DataFrame(rows, columns=["qid", "docno", "score", "question"])
    return frame.astype({"qid": str, "docno": str, "score": float, "question": str})


def _id(value: Any, kind: str, where: str, ids: Ids) -> str:
    """An id, which is a string or, as others write them, a whole number."""
    try:
        return ids.given(value, kind)
    except InvalidIdError as invalid:
        raise DatasetError(f"{where}: {invalid}") from None


def value_of(value: Any, key: str, default: Any = None) -> Any:
    """The value of a key; ``default`` where there is none, or where ``value`` is no object."""
    return value.get(key, default) if isinstance(value, Mapping) else default


def _number(value: Any) -> float:
    """A number, also one written as a string, as DPR and Pyserini write scores; NaN for anything else."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
