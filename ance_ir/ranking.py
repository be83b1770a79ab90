"""The one order of results: score, highest first; equal scores by docno, last first.

It is trec_eval's order, so a run file that we write is read by every tool of the field in the order in which we ranked it.
Docnos compare as strings, which for UTF-8 is the order of their bytes; scores compare as float32, in which trec_eval holds them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def rank_results(results: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
    """Sort and rank a result frame.

    Args:
        results: frame with ``qid``, ``docno``, ``score`` and any other columns; untouched.
        k: keep that many results a query; ``None`` keeps all.

    Returns:
        A new frame: queries in the order in which they first appear, ``rank`` from 0 within each, best first.
    """
    if results.empty:
        return results.assign(rank=np.array([], dtype=np.int64)).reset_index(drop=True)
    query, _ = pd.factorize(results["qid"])
    score = results["score"].to_numpy(dtype=np.float32)
    order = np.lexsort((-score, query))
    query, score = query[order], score[order]
    again = np.r_[False, (query[1:] == query[:-1]) & ((score[1:] == score[:-1]) | (np.isnan(score[1:]) & np.isnan(score[:-1])))]
    tied = np.flatnonzero(again | np.r_[again[1:], False])  # docnos, slow to compare, matter only here
    rows = order[tied]
    place = np.empty(len(tied), dtype=np.int64)
    place[np.argsort(results["docno"].to_numpy(dtype=object)[rows], kind="stable")] = np.arange(len(tied))
    order[tied] = rows[np.lexsort((-place, np.cumsum(~again)[tied]))]
    ranked = results.iloc[order].reset_index(drop=True)
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]])
    ranked["rank"] = np.arange(len(ranked)) - np.repeat(starts, np.diff(np.r_[starts, len(ranked)]))
    return ranked if k is None else ranked[ranked["rank"] < k].reset_index(drop=True)


def no_results(queries: pd.DataFrame) -> pd.DataFrame:
    """The result frame of a retriever that is asked nothing: the columns of the queries, which are none, ``docno``, ``score``, ``rank``."""
    return queries.assign(docno=pd.Series(dtype=str), score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
