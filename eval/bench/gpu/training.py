"""Steps of training in bfloat16: their share of the card's rate, and those of a plain loop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from ance_ir.datasets import DocumentStore
from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu.material import encoder, texts
from ance_ir.eval.bench.gpu.place import Place
from ance_ir.eval.bench.gpu.plain import Plain
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.size import Size
from ance_ir.training import DenseObjective, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.step import take_step

_QUERIES, _QUERY, _PASSAGE = 64, 32, 128
_SHARE, _TIMES, _WAITS = 0.35, 3.0, 1.0


def measured(place: Place) -> Iterator[Figure]:
    """A step of BERT-base with 64 queries of 32 tokens, a positive and a random negative of 128 each."""
    model = encoder("base", place.device, _PASSAGE, small=place.small, dtype=torch.float32)
    size = place.size(_QUERIES, 4)
    documents = texts([_PASSAGE] * (16 * size), small=place.small)
    asked = texts([_QUERY] * (8 * size), small=place.small, seed=1)
    store = DocumentStore.build(({"docno": str(number), "text": text} for number, text in enumerate(documents)), place.folder / "training")
    own = [np.array([number], dtype=np.int64) for number in range(len(asked))]
    queries = TrainingQueries(
        qids=[str(number) for number in range(len(asked))], texts=asked, positives=own, excluded=own, documents=len(store)
    )
    steps = _Steps(model, queries, store, TrainingSettings(steps=1000, batch_size=size, bfloat16=True))
    steps.take(2)  # sets the optimiser up
    lasted = place.seconds(lambda: steps.take(5)) / 5
    case = f"base, {size} queries of {_QUERY} tokens, passages of {_PASSAGE}"
    share = steps.operations(size) / lasted / place.rates["bfloat16"]
    figure = partial(Figure, table="training", case=case)
    yield figure(what="s a step", value=lasted, ratio=share, to="the card's bfloat16 rate", least=_SHARE)
    if not place.small:
        waits = float(steps.waits())
        yield figure(what="waits for the card in a step", value=waits, ratio=waits, to="1", most=_WAITS)
    plain = Plain(model)
    batch = asked[:size], documents[:size], documents[size : 2 * size]
    theirs = place.seconds(lambda: plain.step(*batch, query=_QUERY, passage=_PASSAGE))
    yield figure(what="s a step of the plain loop", value=theirs, ratio=theirs / lasted, to="ours", least=_TIMES)


class _Steps:
    """Steps of ours, one after the other."""

    def __init__(self, model: DenseEncoder, queries: TrainingQueries, store: DocumentStore, settings: TrainingSettings) -> None:
        self._model, self._queries, self._settings = model, queries, settings
        self._objective = DenseObjective(model, queries, store, FirstP(), loss="nll")
        self._optimiser = make_optimiser(model, settings)
        self._batches = Batches(queries, RandomNegatives(queries), settings)
        self._store = store
        self._step = 0

    def take(self, count: int) -> None:
        """Take so many."""
        for _ in range(count):
            batches = self._batches.of_step(self._step)
            take_step(self._objective, batches, self._settings, self._optimiser, dropout=self._step, rounding=self._step)
            self._step += 1

    def waits(self) -> int:
        """How often a step waits for the GPU."""
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                self.take(1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchron" in str(warning.message) for warning in seen)

    def operations(self, queries: int) -> float:
        """Floating-point operations of a step: forward, and twice as many backward."""
        lengths = [_QUERY] * queries + [_PASSAGE] * (2 * queries)
        return 3 * Size.of(self._model.passage_tower).operations(lengths)
