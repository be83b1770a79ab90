"""The one order of results: score, highest first; equal scores by docno, last first.

This is trec_eval's order, so every tool reads our run files in the order in which we ranked them.
Docnos compare as strings, which for UTF-8 is the order of their bytes; scores compare as float32, in which trec_eval holds them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ance_ir.errors import UsageError
from ance_ir.ragged import places_of


def rank_results(results: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
    """Sort and rank a result frame.

    Args:
        results: frame with ``qid``, ``docno``, ``score`` and any other columns; not changed.
        k: results to keep for each query; ``None`` keeps all.

    Returns:
        A new frame: queries in the order in which they first appear, ``rank`` from 0 within each, best first.

    Raises:
        UsageError: a score is no finite number, or a row has no qid or docno.
    """
    if results.empty:
        return results.assign(rank=np.array([], dtype=np.int64)).reset_index(drop=True)
    check_named(results)
    query, _ = pd.factorize(results["qid"])
    score = finite_scores(results)
    order = np.lexsort((-score, query))
    query, score = query[order], score[order]
    again = np.r_[False, (query[1:] == query[:-1]) & (score[1:] == score[:-1])]
    tied = np.flatnonzero(again | np.r_[again[1:], False])  # docnos, slow to compare, matter only here
    rows = order[tied]
    place = np.empty(len(tied), dtype=np.int64)
    place[np.argsort(results["docno"].to_numpy(dtype=object)[rows], kind="stable")] = np.arange(len(tied))
    order[tied] = rows[np.lexsort((-place, np.cumsum(~again)[tied]))]
    ranked = results.iloc[order].reset_index(drop=True)
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]])
    ranked["rank"] = places_of(np.diff(np.r_[starts, len(ranked)]))
    return ranked if k is None else ranked[ranked["rank"] < k].reset_index(drop=True)


def without_itself(results: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
    """A result frame without documents whose docno is their query's qid, ranked again; see ``rank_results``."""
    return rank_results(results[results["docno"] != results["qid"]], k)


def check_named(frame: pd.DataFrame) -> None:
    """Refuse rows without a ``qid``, or without a ``docno`` where the frame has that column.

    Raises:
        UsageError: says how many, and the first.
    """
    for column in ("qid", "docno"):
        if column not in frame.columns:
            continue
        lacking = np.flatnonzero(frame[column].isna())
        if len(lacking):
            raise UsageError(f"{len(lacking)} of {len(frame)} rows have no {column}, row {lacking[0]} (from 0) first")


def check_queries(frame: pd.DataFrame) -> None:
    """Refuse a frame in which a query has no text.

    Raises:
        UsageError: a query is no string, or has no qid.
    """
    check_named(frame)
    for qid, query in zip(frame["qid"], frame["query"], strict=True):
        if not isinstance(query, str):
            raise UsageError(f"query {qid} must be a string, found {query!r}")


def finite_scores(results: pd.DataFrame, score: str = "score") -> np.ndarray:
    """The scores of a result frame, float32 ``[len(results)]``.

    Args:
        results: frame with ``qid``, ``docno`` and the scores.
        score: the column that has them.

    Raises:
        UsageError: a score is no number, or not finite as float32; names its query and document.
    """
    try:
        with np.errstate(over="ignore"):  # an overflow shows as an infinite value
            scores = results[score].to_numpy(dtype=np.float32, na_value=np.nan)
    except (TypeError, ValueError):
        scores = pd.to_numeric(results[score], errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    refused = np.flatnonzero(~np.isfinite(scores))
    if len(refused):
        first = results.iloc[refused[0]]
        raise UsageError(
            f"query {first['qid']!r}, document {first['docno']!r}: a {score} must be a finite number, not {_shown(first[score])} "
            f"({len(refused)} of {len(results)} are not)"
        )
    return scores


def given_vectors(frame: pd.DataFrame, dimension: int) -> np.ndarray:
    """The column ``query_vec`` of a frame, float32 ``[len(frame), dimension]``.

    A vector may be a list, an array or a tensor, of numbers of any type.

    Raises:
        UsageError: one is no vector of that dimension, or not finite; names its query, and its document if the frame has one.
    """
    check_named(frame)
    given = frame["query_vec"].to_list()
    distinct = {id(vector): vector for vector in given}  # a query's results share their vector
    read = {key: read_vector(vector, dimension) for key, vector in distinct.items()}
    vectors = np.zeros((len(given), dimension), dtype=np.float32)
    for row, vector in enumerate(given):
        found = read[id(vector)]
        if isinstance(found, str):
            raise UsageError(f"{_place(frame, row)}: its query_vec must be {dimension} finite numbers, found {found}")
        vectors[row] = found
    return vectors


def finite_vectors(frame: pd.DataFrame, vectors: np.ndarray) -> np.ndarray:
    """The query vectors of a frame's rows, ``[len(frame), D]``, unchanged, if they are finite.

    Raises:
        UsageError: one is not finite; names its query.
    """
    refused = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(refused):
        raise UsageError(
            f"{_place(frame, int(refused[0]))}: the model's vector of it is not finite ({len(refused)} of {len(frame)} are not)"
        )
    return vectors


def read_vector(value: Any, dimension: int | None = None) -> np.ndarray | str:
    """A float32 vector from a list, an array or a tensor of numbers; a description of the value if it is no finite vector."""
    try:
        if hasattr(value, "detach"):  # a tensor; numpy knows no bfloat16
            value = value.detach().cpu().float().numpy()
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
            return f"{value!r:.60}"
        with np.errstate(over="ignore"):
            vector = array.astype(np.float32)
    except (TypeError, ValueError):
        return f"{value!r:.60}"
    if vector.ndim != 1 or dimension not in (None, len(vector)):
        return f"{vector.shape[0]}" if vector.ndim == 1 else f"an array of the shape {list(vector.shape)}"
    return vector if np.isfinite(vector).all() else f"{vector[~np.isfinite(vector)][0]} among them"


def _shown(value: Any) -> str:
    """A value without the type that numpy's repr shows."""
    return repr(value.item() if hasattr(value, "item") else value)


def _place(frame: pd.DataFrame, row: int) -> str:
    document = f", document {frame['docno'].iloc[row]!r}" if "docno" in frame.columns else ""
    return f"query {frame['qid'].iloc[row]!r}{document}"


def no_results(queries: pd.DataFrame) -> pd.DataFrame:
    """The empty result frame of a retriever without queries: the queries' columns, ``docno``, ``score``, ``rank``."""
    return queries.assign(docno=pd.Series(dtype=str), score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
