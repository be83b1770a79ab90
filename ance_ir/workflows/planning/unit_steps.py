"""Unit costs of training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.size import Size
from ance_ir.training import DenseObjective, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.step import take_step
from ance_ir.workflows.planning.job import SPECIAL
from ance_ir.workflows.planning.measuring import Found, Stopwatch, Texts, two_costs

_SMALL, _LARGE = 4, 32
"""Queries of a step."""


def step_costs(encoder: DenseEncoder, texts: Texts, queries: pd.DataFrame, watch: Stopwatch) -> Found:
    """Steps of two sizes, each query with a positive and a random negative; the encoder is trained by them."""
    asked = queries["query"].tolist()
    own = [np.array([number], dtype=np.int64) for number in range(len(asked))]
    trained = TrainingQueries(qids=queries["qid"].tolist(), texts=asked, positives=own, excluded=own, documents=len(texts.store))
    size, lengths = Size.of(encoder.passage_tower), [len(ids) for ids in encoder.tokenizer.queries(asked)]
    objective = DenseObjective(encoder, trained, texts.store, FirstP())
    works = []
    for batch_size in (_SMALL, _LARGE):
        settings = TrainingSettings(steps=1, batch_size=batch_size)
        optimiser = make_optimiser(objective.model, settings)
        (batch,) = Batches(trained, RandomNegatives(trained), settings).of_step(0)
        documents = np.concatenate([batch.positives, batch.negatives.ravel()])
        read = [lengths[query] for query in batch.queries] + [texts.lengths[document] + SPECIAL for document in documents]

        arguments = (objective, [batch], settings, optimiser)
        take_step(*arguments, dropout=0, rounding=0)  # sets the optimiser up
        works.append((size.weights, 3 * size.operations(read), watch(take_step, *arguments, dropout=0, rounding=0)))
    per_weight, per_operation = two_costs(works[0], works[1])
    return {"training.weight": (per_weight, 0.0), "training.operation": (per_operation, 0.0)}
