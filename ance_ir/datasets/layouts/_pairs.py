"""Reading of rows of a query, a positive and any number of negatives."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ance_ir.datasets.layouts._records import Record
from ance_ir.datasets.layouts._sample import Passage, Sample
from ance_ir.datasets.table import key_of

ANCHOR = ("anchor", "query", "question")
POSITIVE = ("positive", "answer")
LABEL = ("scores", "score", "labels", "label")
_NEGATIVE = re.compile(r"negatives?(?:_(\d+))?")


class _Columns(NamedTuple):
    anchor: str
    positive: str
    negatives: tuple[str, ...]
    label: str | None


def is_row(values: Mapping[str, Any]) -> bool:
    """Whether a row has a query and a positive, by the names of their columns; both are texts, or the positive is a list with labels."""
    columns = _columns(tuple(values))
    if columns is None or not isinstance(values[columns.anchor], str):
        return False
    positive = values[columns.positive]
    return isinstance(positive, str) or (isinstance(positive, list) and columns.label is not None)


@lru_cache(64)
def _columns(names: tuple[str, ...]) -> _Columns | None:
    found = dict.fromkeys(names)
    anchor, positive = key_of(found, ANCHOR), key_of(found, POSITIVE)
    if anchor is None or positive is None:
        return None
    negatives = sorted((int(match[1] or 0), name) for name in names if (match := _NEGATIVE.fullmatch(name)))
    return _Columns(anchor, positive, tuple(name for _, name in negatives), key_of(found, LABEL))


def parse_row(record: Record) -> Sample:
    """What is in a row."""
    columns = _columns(tuple(record.values))
    if columns is None:
        raise record.error(f"columns of queries ({', '.join(ANCHOR)}) and of positives ({', '.join(POSITIVE)})")
    query = record.text(columns.anchor)
    if isinstance(record.values[columns.positive], list):
        return _of_list(record, columns, query)
    positive: Passage = ("", "", record.text(columns.positive))
    negatives, given = _negatives(record, columns.negatives)
    label = None if columns.label is None else _numbers(record, columns.label)
    if label is None:
        return Sample(query, [positive], negatives, "", [], [])
    if not columns.negatives:
        return (
            Sample(query, [positive], [], "", [], []) if _is_relevant(record, columns, label) else Sample(query, [], [positive], "", [], [])
        )
    scores, margins = _scores(record, columns, label, len(given))
    negative_scores = [score for score, kept in zip(scores[1:], given, strict=True) if kept]
    return Sample(query, [positive], negatives, "", scores[:1], negative_scores, margins=margins)


def _negatives(record: Record, keys: tuple[str, ...]) -> tuple[list[Passage], list[bool]]:
    """The negatives, without those whose value is missing, and which were given."""
    texts: list[str] = []
    for key in keys:
        value = record.values[key]
        texts.extend(record.texts(key) if isinstance(value, list) else [record.optional_text(key)])
    return [("", "", text) for text in texts if text], [bool(text) for text in texts]


def _of_list(record: Record, columns: _Columns, query: str) -> Sample:
    """A row of a list of passages with labels, or with scores, of which the first is that of the positive."""
    passages: list[Passage] = [("", "", text) for text in record.texts(columns.positive)]
    numbers = _numbers(record, columns.label) if columns.label else None
    if not isinstance(numbers, list) or len(numbers) != len(passages) or not passages:
        raise record.error(f"as many labels as texts under the key {columns.positive!r}")
    if columns.label in ("scores", "score"):
        return Sample(query, passages[:1], passages[1:], "", numbers[:1], numbers[1:])
    if not set(numbers) <= {0, 1}:
        raise record.error(f"labels that are 0 or 1 under the key {columns.label!r}")
    sides = ([passage for passage, label in zip(passages, numbers, strict=True) if label == wanted] for wanted in (1, 0))
    positives, negatives = sides
    return Sample(query, positives, negatives, "", [], [])


def _is_relevant(record: Record, columns: _Columns, label: float | list[float]) -> bool:
    """The label of a pair."""
    if label not in (0, 1):
        hint = "Scores of pairs do not say which ones answer the query"
        raise record.error(f"a label that is 0 or 1 under the key {columns.label!r}", hint)
    return label == 1


def _scores(record: Record, columns: _Columns, label: float | list[float], count: int) -> tuple[list[float], bool]:
    """A teacher's scores of the positive and the negatives, and whether they come from margins, by which it scores the positive above each
    negative: the positive has 0 then.
    """
    numbers = label if isinstance(label, list) else [label]
    if len(numbers) == count + 1:
        return numbers, False
    if len(numbers) == count:
        return [0.0, *(-margin for margin in numbers)], True
    raise record.error(
        f"under the key {columns.label!r} the scores of the positive and of {count} negatives, or the margins of the negatives"
    )


def _numbers(record: Record, key: str) -> float | list[float]:
    """A number or list of numbers, which may be written as text."""
    value = record.values[key]
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # and what is no JSON is refused
            value = json.loads(value)
    if isinstance(value, list):
        return [record.number_of(one, key) for one in value]
    return record.number_of(value, key)
