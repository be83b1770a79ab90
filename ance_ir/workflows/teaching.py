"""A teacher's scores that were computed before: those that come with the training data, a TREC run, or another training file's."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, MalformedFileError, TrainingError
from ance_ir.eval.rankings import same_text
from ance_ir.eval.runs import RUN_FORMATS
from ance_ir.files import as_path
from ance_ir.models import CrossEncoder, PassageScheme
from ance_ir.reading import lines
from ance_ir.training import AskedTeacher, Pairs, ScoredPairs, TrainingQueries
from ance_ir.workflows.negatives import OWN, own_pairs
from ance_ir.workflows.sets import TrainingSet, TrainingSets
from ance_ir.workflows.training import TrainingData


def with_scores(data: TrainingData, text: str, model: CrossEncoder | None, passages: PassageScheme) -> tuple[TrainingData, ScoredPairs]:
    """Training data and its teacher: the scores that ``--teacher-scores`` names, and a cross-encoder for the other pairs.

    Without a cross-encoder negatives that have no score are not drawn.

    Args:
        data: opened for training.
        text: ``"dataset"``, or the path of a TREC run or of training data in any layout, plain or compressed. Documents of training data
            are found by docno, else by text, and queries likewise.
        model: the cross-encoder.
        passages: how it reads documents.

    Raises:
        DatasetError: the file is damaged.
        TrainingError: it is neither a run nor training data, or, without a cross-encoder, pairs have no score.
    """
    queries, store = data.queries, data.store
    parts = data.world.lead_first(lambda: _read(text, data.sets))
    pairs = Pairs.joined(part.shifted(start, one.first) for part, start, one in zip(parts, data.sets.starts, data.sets, strict=True))
    name = OWN if text == OWN else as_path(text).name
    asked = AskedTeacher(model, queries, store, passages) if model is not None else None
    teacher = ScoredPairs(queries, store, pairs, f"the teacher's scores in {name}", asked)
    if asked is None:
        restricted = queries.restricted(teacher.candidates(), name)
        data = dataclasses.replace(data, sets=dataclasses.replace(data.sets, queries=restricted))
    return data, teacher


def _read(text: str, sets: TrainingSets) -> list[Pairs]:
    """The pairs of a text with their scores, for each training set in its own numbers."""
    if text == OWN:
        return [own_pairs(one) for one in sets]
    path = as_path(text)
    if path.is_file() and _is_run(path):
        run = RUN_FORMATS["trec"].read(path)
        sets.check_qids(run["qid"], text)
        return [_of_run(run, one) for one in sets]
    try:
        other = load_dataset(text)
    except DatasetNotFoundError as error:
        raise TrainingError(f"a teacher's scores are {OWN!r}, a TREC run, or a training file with scores, not {text!r}: {error}") from None
    return _of_data(other, text, sets)


def _is_run(path: Path) -> bool:
    with contextlib.suppress(MalformedFileError), contextlib.closing(lines(path)) as stream:
        first = next(stream, None)
        return first is not None and RUN_FORMATS["trec"].start.match(first.raw.strip()) is not None
    return False


def _of_run(run: pd.DataFrame, one: TrainingSet) -> Pairs:
    """The pairs of a run; those of other queries, or of documents that are not in the corpus, are left out."""
    run = run[run["qid"].isin(one.queries.qids)]
    numbers = one.store.numbers(run["docno"].tolist())
    asked = pd.Index(one.queries.qids).get_indexer(pd.Index(run["qid"]))
    pairs = Pairs.of(asked, numbers, np.full(len(run), -1), run["score"].to_numpy())
    return pairs.where(numbers >= 0)


def _of_data(other: Dataset, text: str, sets: TrainingSets) -> list[Pairs]:
    """The pairs of other training data."""
    split = "train" if "train" in other.splits else other.splits[0] if len(other.splits) == 1 else None
    if split is None:
        splits = ", ".join(other.splits) or "none"
        raise TrainingError(f"{text}: a TREC run or training data with a split 'train' was expected; its splits: {splits}")
    asked, theirs = other.queries(split), other.store()
    sets.check_qids(asked["qid"], text)
    pairs = Pairs.read(other.instances(split), {qid: place for place, qid in enumerate(asked["qid"])}, theirs.numbers, text)
    if np.isnan(pairs.scores).all():
        raise TrainingError(f"{text}: a teacher's scores were expected, and its {len(pairs.scores)} pairs have none")
    return [pairs.translated(_same_queries(asked, one.queries), theirs, one.store) for one in sets]


def _same_queries(asked: pd.DataFrame, queries: TrainingQueries) -> list[np.ndarray]:
    """Of each query of a frame the training queries with its qid, else all with its text."""
    named = {qid: [query] for query, qid in enumerate(queries.qids)}
    alike: dict[str, list[int]] = {}
    for query, text in enumerate(queries.texts):
        alike.setdefault(same_text(text), []).append(query)
    alike.pop("", None)
    rows = [named.get(qid) or alike.get(same_text(text), []) for qid, text in zip(asked["qid"], asked["query"], strict=True)]
    return [np.array(row, dtype=np.int64) for row in rows]
