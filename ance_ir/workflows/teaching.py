"""A teacher's scores that were computed before: those that come with the training data, a TREC run, or another training file's."""

from __future__ import annotations

import dataclasses

import numpy as np

from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import as_path
from ance_ir.models import CrossEncoder, PassageScheme
from ance_ir.training import AskedTeacher, Pairs, ScoredPairs
from ance_ir.workflows.negatives import OWN, own_pairs
from ance_ir.workflows.pairs import pairs_of_file
from ance_ir.workflows.sets import TrainingSets
from ance_ir.workflows.training import TrainingData


def with_scores(data: TrainingData, text: str, model: CrossEncoder | None, passages: PassageScheme) -> tuple[TrainingData, ScoredPairs]:
    """Training data and its teacher: the scores that ``--teacher-scores`` names, and a cross-encoder for the other pairs.

    Without a cross-encoder negatives that have no score are not drawn.

    Args:
        data: opened for training.
        text: ``"dataset"``, or the path of a TREC run or of training data in any layout, plain or compressed. Documents of training data
            are found by docno, else by text; queries as ``pairs_of_file`` says.
        model: the cross-encoder.
        passages: how it reads documents.

    Raises:
        DatasetError: the file is damaged.
        TrainingError: it is neither a run nor training data, or, without a cross-encoder, pairs have no score.
        UsageError: its scores were made of margins, with which those of a cross-encoder do not compare.
    """
    queries, store = data.queries, data.store
    parts = data.world.lead_first(lambda: _read(text, data.sets))
    pairs = Pairs.joined(part.shifted(start, one.first) for part, start, one in zip(parts, data.sets.starts, data.sets, strict=True))
    name = OWN if text == OWN else as_path(text).name
    if model is not None and pairs.margins:
        raise UsageError(
            f"teacher_scores {name}: they were made of margins, with which the scores of the teacher {model.name} do not compare; "
            "leave the teacher out, or the scores, so that it is asked for all pairs"
        )
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
    parts = pairs_of_file(text, [(one.queries, one.store) for one in sets], sets.check_qids)
    scores = np.concatenate([part.scores for part in parts])
    if len(scores) and np.isnan(scores).all():
        raise TrainingError(f"{text}: a teacher's scores were expected, and its {len(scores)} pairs have none")
    return parts
