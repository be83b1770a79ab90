"""TREC's runs: ``qid Q0 docno rank score tag``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ance_ir.eval.runs.lines import read_lines


def read(path: Path) -> pd.DataFrame:
    """The results with the file's scores; its ranks are not looked at, as trec_eval does not."""
    return read_lines(path, "a line 'qid Q0 docno rank score tag'", _parse)


def lines(run: pd.DataFrame, tag: str) -> Iterator[str]:
    """The lines of a ranked run: ranks from 1, scores so that what is read again is the same number."""
    for qid, docno, score, rank in zip(run["qid"], run["docno"], run["score"], run["rank"], strict=True):
        yield f"{qid} Q0 {docno} {rank + 1} {score!r} {tag}\n"


def _parse(columns: Sequence[bytes]) -> tuple[bytes, bytes, float]:
    qid, _, docno, _, score, _ = columns
    return qid, docno, float(score)
