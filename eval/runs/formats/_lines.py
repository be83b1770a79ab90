"""Runs of one result a line, in columns."""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ance_ir.datasets.ids import Ids
from ance_ir.datasets.parsing import clean_id
from ance_ir.datasets.recognition import hint
from ance_ir.errors import MalformedFileError
from ance_ir.reading import lines

_UNUSUAL = re.compile(rb"[^\s!-~]")
"""Bytes of ids that need a closer look."""


def start_of(columns: int) -> re.Pattern[bytes]:
    """Matches a line of so many columns that does not begin a file in JSON."""
    return re.compile(rb'(?!\[\s*(?:[{\]]|$)|\{\s*(?:["}]|$))(?:\S+\s+){%d}\S+$' % (columns - 1))


def read_lines(path: Path, expected: str, parse: Callable[[Sequence[bytes]], tuple[bytes, bytes, float]]) -> pd.DataFrame:
    """The results of a file of lines, in its order; blank lines are left out.

    Args:
        path: plain or compressed, in UTF-8.
        expected: what a line looks like.
        parse: gives the qid, docno and score of a line's columns; raises ValueError where they are not as expected.

    Returns:
        Frame with ``qid``, ``docno`` (str) and ``score`` (float).

    Raises:
        MalformedFileError: a line that does not parse, a score that is no finite number, or a document that comes twice for a query.
        DatasetError: a compressed file that is cut short or damaged.
    """
    qids: list[str] = []
    docnos: list[str] = []
    scores, numbers = array("d"), array("q")
    ids = Ids(path)
    for line in lines(path, lambda text: hint(text, "run")):
        try:
            first, second, score = parse(line.raw.split())
            qid, docno = first.decode(), second.decode()
        except (ValueError, OverflowError):
            raise line.error(expected) from None
        if not math.isfinite(score):
            raise line.error("a finite number as score")
        if _UNUSUAL.search(line.raw):
            qid, docno = clean_id(line, qid, "qid", ids), clean_id(line, docno, "docno", ids)
        qids.append(sys.intern(qid))
        docnos.append(docno)
        scores.append(score)
        numbers.append(line.number)
    ids.report()
    run = pd.DataFrame({"qid": qids, "docno": docnos, "score": scores}).astype({"qid": str, "docno": str, "score": float})
    repeated = run.duplicated(["qid", "docno"])
    if repeated.any():
        at = int(repeated.argmax())
        raise MalformedFileError(path, numbers[at], "a document once for a query", f"{docnos[at]} again for {qids[at]}")
    return run


def number(text: bytes) -> float:
    """A number in a file; ValueError for anything else, also for what only Python takes for one (``1_000``)."""
    if b"_" in text:
        raise ValueError
    return float(text)
