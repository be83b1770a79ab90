"""Training instances of what ``ir_datasets`` has: pairs of a relevant and another document, candidates, and labels of negatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.errors import DatasetError

MOST = 1000
"""Negatives of one instance; a query with more has several."""

_Row = tuple[str, tuple[str, ...], str, float]
"""A qid, its positives, another document, and its score."""


def of_pairs(pairs: Iterable[Any], qrels: pd.DataFrame, source: str) -> Iterator[TrainingInstance]:
    """An instance for each sequence of pairs with the same query and the same first document, the positive; then the queries without pairs.

    The pairs are a stream: memory is that of the judgements.

    Args:
        pairs: records of a qid, a relevant and another document; those whose other document is judged relevant are left out.
        qrels: frame of ``qid``, ``docno`` and ``label``.
        source: the pairs' name, for messages.

    Raises:
        DatasetError: an invalid id.
    """
    ids = Ids(source)
    rows = ((ids.clean(pair[0], "qid"), (ids.clean(pair[1], "docno"),), ids.clean(pair[2], "docno"), 0.0) for pair in pairs)
    return _grouped(rows, _positives(qrels), ids, source)


def of_candidates(candidates: Iterable[Any], qrels: pd.DataFrame, source: str) -> Iterator[TrainingInstance]:
    """An instance for each sequence of candidates of the same query, those with high scores first; then the queries without candidates.

    The candidates are a stream: memory is that of the judgements.

    Args:
        candidates: records of a qid, a document and its score; documents that are judged relevant are no negatives, and queries without
            a relevant document are left out.
        qrels: frame of ``qid``, ``docno`` and ``label``.
        source: the candidates' name, for messages.

    Raises:
        DatasetError: an invalid id.
    """
    ids, known = Ids(source), _positives(qrels)
    checked = ((ids.clean(row[0], "qid"), ids.clean(row[1], "docno"), row[2]) for row in candidates)
    rows = ((qid, known[qid], docno, score) for qid, docno, score in checked if qid in known)
    return _grouped(rows, known, ids, source)


def of_labels(qrels: pd.DataFrame, negative: Sequence[int]) -> Iterator[TrainingInstance]:
    """An instance for each query that has a relevant document; documents with certain labels are its negatives.

    Args:
        qrels: frame of ``qid``, ``docno`` and ``label``.
        negative: labels of negatives, that of hard ones first.
    """
    order = {label: place for place, label in enumerate(negative, 1)}
    labels = qrels["label"].to_numpy()
    places_N = np.where(labels > 0, 0, pd.Series(labels).map(order).fillna(-1).to_numpy()).astype(np.int64)
    queries_N, qids = pd.factorize(qrels["qid"])
    rows = np.lexsort((places_N, queries_N))  # which is stable
    rows = rows[places_N[rows] >= 0]
    docnos = qrels["docno"].to_numpy()
    for part in np.split(rows, np.flatnonzero(np.diff(queries_N[rows])) + 1):
        relevant = places_N[part] == 0
        if relevant.any():
            positives, negatives = tuple(docnos[part[relevant]]), tuple(docnos[part[~relevant]])
            yield TrainingInstance(qid=str(qids[queries_N[part[0]]]), positives=positives, negatives=negatives)


def _grouped(rows: Iterable[_Row], known: dict[str, tuple[str, ...]], ids: Ids, source: str) -> Iterator[TrainingInstance]:
    seen = set()
    try:
        for (qid, positives), group in groupby(rows, key=lambda row: row[:2]):
            relevant = {*positives, *known.get(qid, ())}
            others = (row for row in group if row[2] not in relevant)
            while part := sorted(islice(others, MOST), key=lambda row: -row[3]):
                seen.add(qid)
                yield TrainingInstance(qid=qid, positives=positives, negatives=tuple(row[2] for row in part))
    except InvalidIdError as error:
        raise DatasetError(f"{source}: {error}") from None
    ids.report()
    for qid, positives in known.items():
        if qid not in seen:
            yield TrainingInstance(qid=qid, positives=positives)


def _positives(qrels: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    relevant = qrels[qrels["label"] > 0]
    for qid, docno in zip(relevant["qid"], relevant["docno"], strict=True):
        found.setdefault(qid, []).append(docno)
    return {qid: tuple(docnos) for qid, docnos in found.items()}
