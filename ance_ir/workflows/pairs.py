"""Pairs of queries and documents that a file has, with its scores: a TREC run, or training data in any layout."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ance_ir.datasets import Dataset, DocumentStore, load_dataset
from ance_ir.errors import DatasetNotFoundError, MalformedFileError, TrainingError
from ance_ir.eval.rankings import same_text
from ance_ir.eval.runs import RUN_FORMATS
from ance_ir.files import as_path
from ance_ir.notices import examples
from ance_ir.reading import lines
from ance_ir.training import Pairs, TrainingQueries

logger = logging.getLogger(__name__)

Part = tuple[TrainingQueries, DocumentStore]
"""The queries of a training set, and the documents of its corpus."""


def pairs_of_file(text: str, parts: Sequence[Part], check: Callable[[Collection[str], str], object] | None = None) -> list[Pairs]:
    """The pairs of a file, for each training set in its own numbers.

    Args:
        text: the path of a TREC run, plain or compressed, or the name of training data. Documents of training data are found by docno,
            else by text; queries by their text, and by qid where several have it.
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
        return [_of_run(run, text, *part) for part in parts]
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


def _of_run(run: pd.DataFrame, text: str, queries: TrainingQueries, store: DocumentStore) -> Pairs:
    """The pairs of a run; those of other queries are left out, and, with a warning, those of documents that are not in the corpus."""
    run = run[run["qid"].isin(queries.qids)]
    numbers = store.numbers(run["docno"].tolist())
    if len(missing := run["docno"][numbers < 0].unique()):
        message = "%d documents of %s are not in the corpus (%s); their pairs are left out"
        logger.warning(message, len(missing), text, examples(missing))
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
    return [pairs.translated(_same_queries(asked, queries, text), theirs, store, text) for queries, store in parts]


def _same_queries(asked: pd.DataFrame, queries: TrainingQueries, name: str) -> list[np.ndarray]:
    """Of each query of a frame the training query with its qid and text, else all with its text.

    A qid alone does not count: files that number their queries have the same qids for other ones.
    """
    named = {qid: query for query, qid in enumerate(queries.qids)}
    texts = [same_text(text) for text in queries.texts]
    alike: dict[str, list[int]] = {}
    for query, key in enumerate(texts):
        alike.setdefault(key, []).append(query)
    alike.pop("", None)
    rows, others = [], []
    for qid, text in zip(asked["qid"], asked["query"], strict=True):
        known, key = named.get(qid), same_text(text)
        row = [known] if known is not None and texts[known] == key else alike.get(key, [])
        rows.append(np.array(row, dtype=np.int64))
        if known is not None and not row:
            others.append(qid)
    if others:
        message = "%d qids of %s (%s) stand for other queries than in the training data; their pairs are left out"
        logger.warning(message, len(others), name, examples(others))
    return rows
