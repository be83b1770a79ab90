"""Runs of open-domain question answering in JSON, with the questions, their answers and the texts found.

=========  ======================================================================================================================
DPR        ``[{"question", "answers", "ctxs": [{"id", "title", "text", "score", "has_answer"}]}]``; a question's place is its qid
Pyserini   ``{qid: {"question", "answers", "contexts": [{"docid", "score", "text", "has_answer"}]}}``, text is title, newline, text
=========  ======================================================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.datasets import Document
from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.reading import open_binary, parse_json

_CONTEXTS = {"dpr": ("ctxs", "id"), "pyserini": ("contexts", "docid")}
"""By format: the keys under which the passages of a question are, and a passage's docno."""


def read_dpr(path: Path) -> pd.DataFrame:
    """The results with a column ``question``; what ``qid`` an entry has, else its place from 0."""
    entries = _loaded(path, list)
    keyed = ((_of(entry, "qid", str(place)), entry) for place, entry in enumerate(entries))
    return _frame(path, keyed, *_CONTEXTS["dpr"])


def read_pyserini(path: Path) -> pd.DataFrame:
    """The results with a column ``question``."""
    return _frame(path, iter(_loaded(path, dict).items()), *_CONTEXTS["pyserini"])


def entry(format: str, qid: str, question: str, answers: list[str], passages: list[tuple[Document, float, bool]]) -> str:
    """A question in JSON as it stands in a file.

    Args:
        format: ``"dpr"`` or ``"pyserini"``.
        qid: written by DPR's readers over, and read by ours.
        question: its text.
        answers: the right ones.
        passages: document, score, and whether it holds an answer; best first.
    """
    if format == "dpr":
        contexts = [
            {"id": one["docno"], "title": one.get("title", ""), "text": one["text"], "score": score, "has_answer": holds}
            for one, score, holds in passages
        ]
        return json.dumps({"qid": qid, "question": question, "answers": answers, "ctxs": contexts}, ensure_ascii=False)
    contexts = [
        {"docid": one["docno"], "score": score, "text": f"{one.get('title', '')}\n{one['text']}", "has_answer": holds}
        for one, score, holds in passages
    ]
    value = json.dumps({"question": question, "answers": answers, "contexts": contexts}, ensure_ascii=False)
    return f"{json.dumps(qid, ensure_ascii=False)}: {value}"


def _loaded(path: Path, kind: type) -> Any:
    with open_binary(path) as stream:
        value = parse_json(path, stream.read())
    if not isinstance(value, kind):
        raise MalformedFileError(path, 1, "a list of questions" if kind is list else "an object of questions", type(value).__name__)
    return value


def _frame(path: Path, entries: Iterator[tuple[str, Any]], contexts: str, docno: str) -> pd.DataFrame:
    rows = []
    ids = Ids(path)
    for given, value in entries:
        where = f"{path}, question {given!r}"
        qid = _id(given, "qid", where, ids)
        passages = _of(value, contexts)
        if not isinstance(passages, list):
            raise DatasetError(f"{where}: expected a list of passages under the key {contexts!r}")
        seen = set()
        for place, passage in enumerate(passages, 1):
            identifier = _id(_of(passage, docno), f"docno under the key {docno!r}", f"{where}, passage {place}", ids)
            score = _number(_of(passage, "score"))
            if not math.isfinite(score):
                raise DatasetError(
                    f"{where}, passage {place}: expected a finite number under the key 'score', found {passage.get('score')!r}"
                )
            if identifier in seen:
                raise DatasetError(f"{where}: the document {identifier!r} comes twice")
            seen.add(identifier)
            rows.append((qid, identifier, score, str(_of(value, "question", ""))))
    ids.report()
    frame = pd.DataFrame(rows, columns=["qid", "docno", "score", "question"])
    return frame.astype({"qid": str, "docno": str, "score": float, "question": str})


def _id(value: Any, kind: str, where: str, ids: Ids) -> str:
    """An id, which is a string or, as others write them, a whole number."""
    try:
        return ids.clean(str(value) if isinstance(value, int) and not isinstance(value, bool) else value, kind)
    except InvalidIdError as invalid:
        raise DatasetError(f"{where}: {invalid}") from None


def _of(value: Any, key: str, default: Any = None) -> Any:
    return value.get(key, default) if isinstance(value, Mapping) else default


def _number(value: Any) -> float:
    """A number, or what a string says: DPR and Pyserini write scores as strings. NaN where it is neither."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
