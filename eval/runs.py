"""Runs: frames with ``qid docno score rank``, and TREC files ``qid Q0 docno rank score tag``, plain or gzipped."""

from __future__ import annotations

import math
import re
import sys
from array import array
from pathlib import Path

import pandas as pd

from ance_ir.errors import EvaluationError, MalformedFileError
from ance_ir.files import atomic_open, open_binary
from ance_ir.ranking import rank_results

_COLUMNS = ["qid", "docno", "score"]


def check_run(run: pd.DataFrame) -> pd.DataFrame:
    """A run in the one order of results.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``; other columns are left out, a rank too.

    Returns:
        A new frame: ``qid docno score rank``, rank from 0.

    Raises:
        EvaluationError: a column is missing, a score is no number, or a document comes twice for a query.
    """
    missing = [column for column in _COLUMNS if column not in run.columns]
    if missing:
        raise EvaluationError(f"a run needs the columns {' '.join(_COLUMNS)}; {' '.join(missing)} missing, found {' '.join(run.columns)}")
    run = run[_COLUMNS].astype({"score": float})
    for fault, rows in (("has no score", run["score"].isna()), ("comes twice", run.duplicated(["qid", "docno"]))):
        if rows.any():
            first = run[rows].iloc[0]
            raise EvaluationError(f"query {first['qid']}: document {first['docno']} {fault}")
    return rank_results(run)


def read_run(path: Path | str) -> pd.DataFrame:
    """Read a TREC run; the order is that of the scores, as for trec_eval, whatever ranks the file gives.

    Returns:
        Frame with ``qid`` and ``docno`` (str), ``score`` (float) and ``rank`` (int, from 0).

    Raises:
        MalformedFileError: a line that does not parse, or a document that comes twice for a query.
    """
    qids: list[str] = []
    docnos: list[str] = []
    scores = array("d")
    with open_binary(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                qid, _, docno, _, score, _ = line.split()
                qids.append(sys.intern(qid.decode()))
                docnos.append(docno.decode())
                scores.append(float(score))
            except ValueError:
                raise MalformedFileError(path, number, "a line 'qid Q0 docno rank score tag'", _shown(line)) from None
            if math.isnan(scores[-1]):
                raise MalformedFileError(path, number, "a number as score", _shown(line))
    run = pd.DataFrame({"qid": qids, "docno": docnos, "score": scores}).astype({"qid": str, "docno": str, "score": float})
    repeated = run.duplicated(["qid", "docno"])
    if repeated.any():
        at = int(repeated.argmax())
        raise MalformedFileError(path, at + 1, "a document once for a query", f"{docnos[at]} again for {qids[at]}")
    return rank_results(run)


def write_run(run: pd.DataFrame, path: Path | str, tag: str) -> None:
    """Write a TREC run, whole or not at all, ranks from 1, scores so that what is read again is the same number.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``.
        path: gzipped if it ends in ``.gz``.
        tag: the system's name, one word.

    Raises:
        EvaluationError: the frame is no run, or the format cannot hold one of its names: white space, or nothing.
    """
    run = check_run(run)
    for kind, names in (("tag", [tag]), ("qid", run["qid"].unique()), ("docno", run["docno"].unique())):
        bad = next((name for name in names if not re.fullmatch(r"\S+", name)), None)
        if bad is not None:
            raise EvaluationError(f"a run file separates by white space, so it cannot hold the {kind} {bad!r}")
    with atomic_open(path) as stream:
        for qid, docno, score, rank in zip(run["qid"], run["docno"], run["score"], run["rank"], strict=True):
            stream.write(f"{qid} Q0 {docno} {rank + 1} {score!r} {tag}\n")


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").strip()
