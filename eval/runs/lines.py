"""Runs of one result a line, whatever its columns."""

from __future__ import annotations

import codecs
import math
import sys
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ance_ir.datasets.parsing import Line, gzip_errors
from ance_ir.errors import MalformedFileError
from ance_ir.files import open_binary


def read_lines(path: Path, expected: str, parse: Callable[[Sequence[bytes]], tuple[bytes, bytes, float]]) -> pd.DataFrame:
    """The results of a file of lines, in its order; blank lines are left out.

    Args:
        path: plain or gzipped, in UTF-8.
        expected: what a line looks like.
        parse: from the columns between white space to qid, docno and score; ValueError where they are not as expected.

    Returns:
        Frame with ``qid``, ``docno`` (str) and ``score`` (float).

    Raises:
        MalformedFileError: a line that does not parse, a score that is no finite number, or a document that comes twice for a query.
        DatasetError: a gzip file that is cut short or damaged.
    """
    qids: list[str] = []
    docnos: list[str] = []
    scores, numbers = array("d"), array("q")
    with open_binary(path) as stream, gzip_errors(path):
        for number, line in enumerate(stream, 1):
            columns = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).split()
            if not columns:
                continue
            try:
                qid, docno, score = parse(columns)
                qids.append(sys.intern(qid.decode()))
                docnos.append(docno.decode())
            except ValueError:
                raise Line(path, number, line).error(expected) from None
            if not math.isfinite(score):
                raise Line(path, number, line).error("a finite number as score")
            scores.append(score)
            numbers.append(number)
    run = pd.DataFrame({"qid": qids, "docno": docnos, "score": scores}).astype({"qid": str, "docno": str, "score": float})
    repeated = run.duplicated(["qid", "docno"])
    if repeated.any():
        at = int(repeated.argmax())
        raise MalformedFileError(path, numbers[at], "a document once for a query", f"{docnos[at]} again for {qids[at]}")
    return run
