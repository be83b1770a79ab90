"""Margins, by which a teacher scores a positive above negatives, as scores: those of a query's positives on one scale."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from statistics import fmean

import numpy as np

from ance_ir.datasets.layouts._sample import Sample
from ance_ir.errors import DatasetError

_SHOWN = 60


def on_one_scale(samples: Iterable[Sample], again: Callable[[], Iterable[Sample]], name: str) -> Iterator[Sample]:
    """Samples whose scores can be compared within a query, where those that margins give have 0 for their own positive.

    Two positives are compared by the negatives that they share. Memory: 32 bytes for each pair of texts that has a margin, and more for
    those of queries with several positives.

    Args:
        samples: a stream.
        again: opens it once more, which is done where there are margins.
        name: of the file, for the error.

    Raises:
        DatasetError: two positives of a query share no negative, so that nothing says how their scores compare.
    """
    scores: Mapping[tuple[int, int], float] | None = None
    for sample in samples:
        if not sample.margins:
            yield sample
            continue
        if scores is None:
            scores = _scores(again, name)
        own = scores.get(_pair(sample), 0.0)
        yield sample._replace(positive_scores=[own], negative_scores=[own + score for score in sample.negative_scores])


def _pair(sample: Sample) -> tuple[int, int]:
    """The query and the positive, by hashes."""
    return hash(sample.query), hash(sample.positives[0])


def _scores(again: Callable[[], Iterable[Sample]], name: str) -> dict[tuple[int, int], float]:
    """The scores of positives, of queries that have several: 0 for the first, the others so that margins hold."""
    keys, margins = array("q"), array("d")
    for sample in again():
        if sample.margins:
            for negative, score in zip(sample.negatives, sample.negative_scores, strict=True):
                keys.extend((*_pair(sample), hash(negative)))
                margins.append(-score)
    keys_P3 = np.frombuffer(keys, dtype=np.int64).reshape(-1, 3)
    queries, counts = np.unique(np.unique(keys_P3[:, :2], axis=0)[:, 0], return_counts=True)
    chosen = np.flatnonzero(np.isin(keys_P3[:, 0], queries[counts > 1]))
    chosen = chosen[np.argsort(keys_P3[chosen, 0], kind="stable")]
    rows = zip(keys_P3[chosen].tolist(), np.frombuffer(margins)[chosen].tolist(), strict=True)
    found: dict[tuple[int, int], float] = {}
    for query, of_query in groupby(rows, key=lambda row: row[0][0]):
        margins_of: dict[int, dict[int, float]] = {}
        for (_, positive, negative), margin in of_query:
            margins_of.setdefault(positive, {}).setdefault(negative, margin)
        compared = _compared(margins_of)
        if other := next((positive for positive in margins_of if positive not in compared), None):
            raise _incomparable(again(), name, (query, next(iter(margins_of))), (query, other))
        found |= {(query, positive): score for positive, score in compared.items()}
    return found


def _compared(margins_of: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    """The scores of the positives that share negatives with the first, at once or by way of others.

    Args:
        margins_of: of one query, by positive, the margins to its negatives.
    """
    compared: dict[int, float] = {}
    negatives: dict[int, float] = {}
    left = list(margins_of)
    while True:
        positive = next((one for one in left if not compared or negatives.keys() & margins_of[one].keys()), None)
        if positive is None:
            return compared
        left.remove(positive)
        margins = margins_of[positive]
        shared = negatives.keys() & margins.keys()
        compared[positive] = fmean(negatives[one] + margins[one] for one in shared) if shared else 0.0
        for negative, margin in margins.items():
            negatives.setdefault(negative, compared[positive] - margin)


def _incomparable(samples: Iterable[Sample], name: str, *pairs: tuple[int, int]) -> DatasetError:
    sought = dict.fromkeys(pairs, "")
    query = ""
    for sample in samples:
        if sample.margins and (pair := _pair(sample)) in sought:
            query, sought[pair] = sample.query, sample.positives[0][2]
    shown = " and ".join(repr(text[:_SHOWN]) for text in sought.values())
    return DatasetError(
        f"{name}: margins compare a positive with its own negatives, and the query {query[:_SHOWN]!r} has two positives without a "
        f"negative in common, {shown}: give the scores of the positive and the negatives in place of margins, or leave one positive"
    )
