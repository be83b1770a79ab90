"""MS MARCO: qid docno rank.

Tabs stand between them, ranks begin at 1, and there are no scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ance_ir.errors import EvaluationError
from ance_ir.eval.runs.formats._format import RunFormat
from ance_ir.eval.runs.formats._lines import read_lines, start_of


def read(path: Path) -> pd.DataFrame:
    """The results; a score is the rank, negated.

    Raises:
        EvaluationError: two documents at one rank of a query.
    """
    run = read_lines(path, "a line 'qid docno rank', tabs between them, ranks from 1", _parse)
    repeated = run[run.duplicated(["qid", "score"])]
    if len(repeated):
        first = repeated.iloc[0]
        two = f"query {first['qid']} has two documents at rank {-first['score']:.0f}, {first['docno']} for one"
        raise EvaluationError(f"{path}: {two}; if these are judgements and no run, they belong into qrels.txt (qid 0 docno label)")
    return run


def lines(run: pd.DataFrame, tag: str) -> Iterator[str]:
    """The lines of a ranked run; there is no place for the tag."""
    for qid, docno, rank in zip(run["qid"], run["docno"], run["rank"], strict=True):
        yield f"{qid}\t{docno}\t{rank + 1}\n"


def _parse(columns: Sequence[bytes]) -> tuple[bytes, bytes, float]:
    qid, docno, rank = columns
    if not rank.isdigit() or int(rank) < 1:
        raise ValueError
    return qid, docno, -float(int(rank))


FORMAT = RunFormat(start=start_of(3), read=read, lines=lines)
