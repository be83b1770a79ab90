"""Files of runs: recognised, read and written."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.answering import AnswerFinder
from ance_ir.datasets.recognition import hint
from ance_ir.errors import DatasetError, EvaluationError, UsageError
from ance_ir.eval.runs.checks import check_run
from ance_ir.eval.runs.formats import RUN_FORMATS
from ance_ir.files import as_path, atomic_open
from ance_ir.ranking import rank_results
from ance_ir.reading import lines


def find_run_format(path: Path | str) -> str:
    """The name of the format that a file has, by its first line.

    Raises:
        MalformedFileError: that line fits none.
        DatasetError: the file is empty, or a compressed file that is cut short or damaged.
    """
    path = as_path(path)
    with contextlib.closing(lines(path, lambda text: hint(text, "run"))) as stream:
        for line in stream:
            for name, form in RUN_FORMATS.items():
                if form.start.match(line.raw.strip()):
                    return name
            raise line.error(f"a line of a run, {' or '.join(map(RUN_FORMATS.summary, RUN_FORMATS))}")
    raise DatasetError(f"{path} holds no run: it is empty")


def read_run(path: Path | str, format: str | None = None, *, queries: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read a run, in the order of its scores, as for trec_eval; the file's own order and ranks do not count.

    Args:
        path: plain or compressed.
        format: one of ``RUN_FORMATS``; by default it is recognised by the first line.
        queries: frame with ``qid`` and ``query``: gives the questions of a file in JSON their qids by their texts. Equal texts take
            their qids in order.

    Returns:
        Frame with ``qid`` and ``docno`` (str), ``score`` (float) and ``rank`` (int, from 0).

    Raises:
        MalformedFileError: a line that does not parse, a score that is no finite number, or a document that comes twice for a query.
        DatasetError: the file is damaged, or empty and its format not given, or a question's results are not as they should be.
        EvaluationError: a question is none of the queries.
        UsageError: there is no such format.
    """
    path = as_path(path)
    run = RUN_FORMATS.find(format or find_run_format(path)).read(path)
    if queries is not None and "question" in run.columns:
        run = run.assign(qid=_qids(path, run, queries))
    return rank_results(run[["qid", "docno", "score"]])


def write_run(run: pd.DataFrame, path: Path | str, tag: str, format: str = "trec") -> None:
    """Write a run, whole or not at all.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``.
        path: gzipped if it ends in ``.gz``.
        tag: the system's name, one word.
        format: ``"trec"``, which keeps the scores to the last bit, or ``"msmarco"``, which keeps ranks alone.

    Raises:
        EvaluationError: the frame is no run, or the format cannot hold one of its names: white space, or nothing.
        UsageError: there is no such format, or it holds more than a run.
    """
    lines = RUN_FORMATS.find(format).lines
    if lines is None:
        raise UsageError(f"the format {format} holds questions and texts as well; write_passages writes it")
    run = check_run(run)
    check_names(run, tag)
    with atomic_open(as_path(path)) as stream:
        stream.writelines(lines(run, tag))


def check_names(run: pd.DataFrame, tag: str) -> None:
    """Refuse a tag, qids or docnos that a run file cannot hold.

    Raises:
        EvaluationError: one is empty, or has white space in it.
    """
    check_tag(tag)
    for kind in ("qid", "docno"):
        _refuse_spaces(kind, run[kind].unique())


def check_tag(tag: str) -> None:
    """Refuse a tag that is no word.

    Raises:
        EvaluationError: it is empty, or has white space in it.
    """
    _refuse_spaces("tag", [tag])


def _refuse_spaces(kind: str, names: Iterable[str]) -> None:
    bad = next((name for name in names if not re.fullmatch(r"\S+", name)), None)
    if bad is not None:
        raise EvaluationError(f"a run file separates by white space, so it cannot hold the {kind} {bad!r}")


def write_passages(
    run: pd.DataFrame,
    path: Path | str,
    answers: pd.DataFrame,
    store: DocumentStore,
    format: str = "dpr",
    *,
    patterns: bool = False,
    processes: int = 1,
) -> None:
    """Write the results for questions with their texts, for readers and for DPR's and Pyserini's evaluation scripts.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``.
        path: gzipped if it ends in ``.gz``.
        answers: frame with ``qid``, ``query`` and ``answers``; all are written, in this order.
        store: the documents.
        format: ``"dpr"`` or ``"pyserini"``.
        patterns: whether answers are regular expressions.
        processes: how many look for answers.

    Raises:
        EvaluationError: the frame is no run, or has a query that is no question.
        DocumentNotFoundError: documents that the corpus does not hold.
        UsageError: there is no such format, or it holds no texts.
    """
    form = RUN_FORMATS.find(format)
    if form.entry is None:
        raise UsageError(f"the format {format} holds no texts; write_run writes it")
    run = check_run(run)
    questions = pd.Index(answers["qid"]).get_indexer(run["qid"])
    if (questions < 0).any():
        raise EvaluationError(f"the query {run['qid'][questions.argmin()]!r} of the run is none of the questions")
    numbers = store.numbers(run["docno"].tolist())
    if (numbers < 0).any():
        store.get(run["docno"][numbers < 0].tolist())  # raises, and names them
    holds = AnswerFinder(store, answers["answers"], patterns=patterns, processes=processes).find(questions, numbers)
    found: dict[Any, Any] = run.assign(number=numbers, holds=holds).groupby("qid").indices
    with atomic_open(as_path(path)) as stream:
        stream.write(form.brackets[0])
        for place, (qid, question, right) in enumerate(zip(answers["qid"], answers["query"], answers["answers"], strict=True)):
            rows = found.get(qid, ())
            listed = [(store[int(numbers[row])], float(run["score"][row]), bool(holds[row])) for row in rows]
            stream.write(f"{',' if place else ''}\n{form.entry(qid, question, list(right), listed)}")
        stream.write(f"\n{form.brackets[1]}\n")


def _qids(path: Path, run: pd.DataFrame, queries: pd.DataFrame) -> pd.Series[str]:
    """The qid of each row's question among the queries."""
    qids = dict.fromkeys(zip(run["qid"], run["question"], strict=True))
    waiting: dict[str, list[str]] = {}
    for qid, text in zip(queries["qid"], queries["query"], strict=True):
        waiting.setdefault(text.strip(), []).append(qid)
    named = {}
    for given, text in qids:
        if not waiting.get(text.strip()):
            more = "comes more often than among the queries" if text.strip() in waiting else "is none of the queries"
            raise EvaluationError(f"{path}: the question {text!r} {more}")
        named[given] = waiting[text.strip()].pop(0)
    return run["qid"].map(named)
