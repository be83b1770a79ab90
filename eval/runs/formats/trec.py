"""TREC: qid Q0 docno rank score tag."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ance_ir.eval.runs.formats._format import RunFormat
from ance_ir.eval.runs.formats._lines import number, read_lines, start_of
from ance_ir.notices import examples

logger = logging.getLogger(__name__)


def read(path: Path) -> pd.DataFrame:
    """The results with the file's scores, which alone count, as for trec_eval; a warning names queries whose ranks contradict them."""
    ranks = _Ranks()
    run = read_lines(path, "a line 'qid Q0 docno rank score tag'", ranks.parse)
    if ranks.against:
        message = "%s: for %d of %d queries ranks contradict scores (%s); the scores count, highest first, as for trec_eval"
        logger.warning(message, path, len(ranks.against), run["qid"].nunique(), examples(ranks.against))
    return run


def lines(run: pd.DataFrame, tag: str) -> Iterator[str]:
    """The lines of a ranked run: ranks from 1, scores with all their digits."""
    for qid, docno, score, rank in zip(run["qid"], run["docno"], run["score"], run["rank"], strict=True):
        yield f"{qid} Q0 {docno} {rank + 1} {score!r} {tag}\n"


class _Ranks:
    """Parses lines, and looks whether a better rank has a lower score than the line before or after it.

    Attributes:
        against: the queries with such lines, in order.
    """

    def __init__(self) -> None:
        self.against: dict[str, None] = {}
        self._last: tuple[bytes, int, float] = (b"", 0, 0.0)

    def parse(self, columns: Sequence[bytes]) -> tuple[bytes, bytes, float]:
        """qid, docno and score of a line's columns."""
        qid, _, docno, rank, score, _ = columns
        value = number(score)
        if rank.isdigit() and len(rank) < 10:
            place, (before, last, higher) = int(rank), self._last
            if qid == before and (place - last) * (value - higher) > 0:
                self.against[qid.decode()] = None
            self._last = (qid, place, value)
        return qid, docno, value


FORMAT = RunFormat(start=start_of(6), read=read, lines=lines)
