"""Frames from rows, with the right column types even without rows."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def queries_frame(rows: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Frame of ``qid`` (str) and ``query`` (str) from (qid, query)."""
    return pd.DataFrame(list(rows), columns=["qid", "query"]).astype({"qid": str, "query": str})


def qrels_frame(rows: Iterable[tuple[str, str, int]]) -> pd.DataFrame:
    """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64) from (qid, docno, label)."""
    return pd.DataFrame(list(rows), columns=["qid", "docno", "label"]).astype({"qid": str, "docno": str, "label": "int64"})


def answers_frame(rows: Iterable[tuple[str, str, list[str]]]) -> pd.DataFrame:
    """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (object: list of str) from (qid, query, answers)."""
    return pd.DataFrame(list(rows), columns=["qid", "query", "answers"]).astype({"qid": str, "query": str, "answers": object})
