"""Checks of judgements: an integer in a small range for each pair of query and document."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from ance_ir.datasets.ids import clean_ids
from ance_ir.errors import AnceError, EvaluationError
from ance_ir.notices import examples

logger = logging.getLogger(__name__)

LOWEST, HIGHEST = -1000, 1000
"""The range of labels. Published scales end far below. trec_eval holds a list as long as the highest label, and in a collection whose
docnos are numbers the range reveals swapped columns."""

LABEL = f"an integer label from {LOWEST} to {HIGHEST}"

_COLUMNS = ("qid", "docno", "label")


def parse_label(text: str) -> int | None:
    """The label in a text, or ``None`` if it is none; ``1.0`` is 1."""
    match = re.fullmatch(r"([+-]?[0-9]{1,9})(\.0{1,9})?", text)
    found = int(match[1]) if match else None
    return found if found is not None and LOWEST <= found <= HIGHEST else None


def clean_qrels(qrels: pd.DataFrame, source: str = "the qrels", *, error: type[AnceError] = EvaluationError) -> pd.DataFrame:
    """A frame of checked judgements, each once; the frame itself if nothing changes.

    Args:
        qrels: frame with ``qid``, ``docno`` and ``label``.
        source: name of the frame, for messages.
        error: the class to raise.

    Raises:
        error: a column is missing, an id is invalid, a label is no integer or out of range, or a document has two labels for a query.
    """
    missing = [column for column in _COLUMNS if column not in qrels.columns]
    if missing:
        found = " ".join(map(str, qrels.columns))
        raise error(f"{source}: expected the columns qid docno label; {' '.join(missing)} missing, found {found}")
    if qrels.empty:
        return qrels
    qrels = clean_ids(qrels, ("qid", "docno"), source, error=error)
    labels = qrels["label"]
    if labels.hasnans:
        row = qrels.iloc[int(labels.isna().to_numpy().argmax())]
        raise error(f"{source}: expected labels that are integers, found {row['label']!r} for {row['qid']!r} and {row['docno']!r}")
    if pd.api.types.infer_dtype(labels, skipna=False) != "integer":
        other = next((label for label in labels if not isinstance(label, int | np.integer) or isinstance(label, bool)), labels.iloc[0])
        raise error(f"{source}: expected labels that are integers, found {other!r} ({type(other).__name__}) for example")
    beyond = ((labels < LOWEST) | (labels > HIGHEST)).to_numpy(dtype=bool)
    if beyond.any():
        row = qrels.iloc[int(beyond.argmax())]
        where = f"for query {row['qid']!r} and document {row['docno']!r}"
        raise error(f"{source}: expected {LABEL}, found {row['label']} {where}. Is this the label's column?")
    if not isinstance(labels.dtype, np.dtype):  # Int64 and the like, which no provider of measures reads
        qrels = qrels.assign(label=labels.astype("int64"))
    return settle(qrels, source, lambda row: f"row {row}", error=error)


def settle(qrels: pd.DataFrame, source: object, place: Callable[[int], str], *, error: type[AnceError] = EvaluationError) -> pd.DataFrame:
    """Each judgement once, with a warning of repeated ones.

    Args:
        qrels: frame with ``qid``, ``docno`` and ``label``.
        source: name of the frame, for messages.
        place: names the place of a row, by its number from 0, for messages.
        error: the class to raise.

    Raises:
        error: a document has two labels for a query.
    """
    pair = ["qid", "docno"]
    again = qrels.duplicated(pair).to_numpy()
    if not again.any():
        return qrels
    labels = qrels["label"].to_numpy()
    number = qrels.groupby(pair, sort=False).ngroup().to_numpy()
    first = np.flatnonzero(~again)[number]  # groups are numbered as they first appear
    conflicts = np.flatnonzero(labels != labels[first])
    if len(conflicts):
        row, before = int(conflicts[0]), int(first[conflicts[0]])
        labelled = f"the label {labels[before]} in {place(before)} and {labels[row]} in {place(row)}"
        qid, docno = qrels["qid"].iloc[row], qrels["docno"].iloc[row]
        raise error(f"{source}: query {qid!r} and document {docno!r} have {labelled} ({len(conflicts)} such); keep one of them")
    pairs = qrels.loc[again, pair].itertuples(index=False)
    logger.warning("%s: %d repeated judgements with the same label count once: %s", source, again.sum(), examples(map(tuple, pairs)))
    return qrels[~again].reset_index(drop=True)
