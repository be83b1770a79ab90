"""The base of formats of runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ance_ir.datasets import Document

Passages = Sequence[tuple[Document, float, bool]]
"""The results for a question, best first: document, score, and whether it contains an answer."""


@dataclass(frozen=True, kw_only=True)
class RunFormat:
    """A format of files of runs, plain or compressed. It has ``lines`` or ``entry``.

    Attributes:
        start: what the first line of a file that is not blank matches; of no two formats do they match the same line.
        read: the results with the file's scores, in any order: ``qid docno score``, and ``question`` where it holds texts of questions.
        lines: of a ranked run and its tag.
        entry: a question in JSON, from its qid, its text, the right answers, and the passages found.
        brackets: around all entries.
    """

    start: re.Pattern[bytes]
    read: Callable[[Path], pd.DataFrame]
    lines: Callable[[pd.DataFrame, str], Iterator[str]] | None = None
    entry: Callable[[str, str, list[str], Passages], str] | None = None
    brackets: str = "[]"
