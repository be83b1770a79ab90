"""Pairs of queries and documents that a file has, with its scores: a TREC run, or training data in any layout."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ance_ir.datasets import Dataset, DocumentStore, load_dataset
from ance_ir.errors import DatasetNotFoundError, MalformedFileError, TrainingError
from ance_ir.eval.rankings import same_text
from ance_ir.eval.runs import RUN_FORMATS
from ance_ir.files import as_path
from ance_ir.reading import lines
from ance_ir.training import Pairs, TrainingQueries

Part = tuple[TrainingQueries, DocumentStore]
"""The queries of a training set, and the documents of its corpus."""


def pairs_of_file(text: str, parts: Sequence[Part], check: Callable[[Collection[str], str], object] | None = None) -> list[Pairs]:
    """The pairs of a file, for each training set in its own numbers.

    Args:
        text: the path of a TREC run, plain or compressed, or the name of training data. Documents of training data are found by docno,
            else by text, and queries likewise.
        parts: pairs of other queries and documents are left out.
        check: called with the qids of the file and with ``text``.

    Raises:
        DatasetError: the file is damaged.
        TrainingError: it is neither a run nor training data.
    """
    path = as_path(text)
    if path.is_file() and _is_run(path):
        run = RUN_FORMATS["trec"].read(path)
        if check is not None:
            check(run["qid"], text)
        return [_of_run(run, *part) for part in parts]
    try:
        other = load_dataset(text)
    except DatasetNotFoundError as error:
        raise TrainingError(f"a TREC run or training data was expected, not {text!r}: {error}") from None
    return _of_data(other, text, parts, check)


def _is_run(path: Path) -> bool:
    with contextlib.suppress(MalformedFileError), contextlib.closing(lines(path)) as stream:
        first = next(stream, None)
        return first is not None and RUN_FORMATS["trec"].start.match(first.raw.strip()) is not None
    return False


def _of_run(run: pd.DataFrame, queries: TrainingQueries, store: DocumentStore) -> Pairs:
    """The pairs of a run; those of other queries, or of documents that are not in the corpus, are left out."""
    run = run[run["qid"].isin(queries.qids)]
    numbers = store.numbers(run["docno"].tolist())
    asked = pd.Index(queries.qids).get_indexer(pd.Index(run["qid"]))
    pairs = Pairs.of(asked, numbers, np.full(len(run), -1), run["score"].to_numpy())
    return pairs.where(numbers >= 0)


def _of_data(other: Dataset, text: str, parts: Sequence[Part], check: Callable[[Collection[str], str], object] | None) -> list[Pairs]:
    """The pairs of other training data."""
    split = "train" if "train" in other.splits else other.splits[0] if len(other.splits) == 1 else None
    if split is None:
        splits = ", ".join(other.splits) or "none"
        raise TrainingError(f"{text}: a TREC run or training data with a split 'train' was expected; its splits: {splits}")
    asked, theirs = other.queries(split), other.store()
    if check is not None:
        check(asked["qid"], text)
    pairs = Pairs.read(other.instances(split), {qid: place for place, qid in enumerate(asked["qid"])}, theirs.numbers, text)
    return [pairs.translated(_same_queries(asked, queries), theirs, store) for queries, store in parts]


def _same_queries(asked: pd.DataFrame, queries: TrainingQueries) -> list[np.ndarray]:
    """Of each query of a frame the training queries with its qid, else all with its text."""
    named = {qid: [query] for query, qid in enumerate(queries.qids)}
    alike: dict[str, list[int]] = {}
    for query, text in enumerate(queries.texts):
        alike.setdefault(same_text(text), []).append(query)
    alike.pop("", None)
    rows = [named.get(qid) or alike.get(same_text(text), []) for qid, text in zip(asked["qid"], asked["query"], strict=True)]
    return [np.array(row, dtype=np.int64) for row in rows]
