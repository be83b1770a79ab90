"""What training a reranker minimises. Shapes: b queries of this process, B of all, K documents of each (the positive first)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.models import CrossEncoder
from ance_ir.moved import warn_of_old_name
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.losses import LOSSES
from ance_ir.training.objectives.scoring import in_parts
from ance_ir.training.queries import TrainingQueries
from ance_ir.world import ALONE, World

_OLD_NAMES = {"cross-entropy": "nll", "margin": "hinge"}
"""Of losses; in manifests they stay, so that older runs can be resumed."""


class RerankerObjective:
    """A cross-encoder is to score a query's positive above its negatives. A document is cut where its pair is full: its first passage.

    Args:
        model: trained in place.
        queries: with their positives.
        store: the documents' texts.
        loss: one of ``LOSSES``, on log-odds.
        world: the processes that a batch's pairs are dealt to.

    Raises:
        UsageError: there is no such loss.
    """

    in_batch = False

    def __init__(
        self,
        model: CrossEncoder,
        queries: TrainingQueries,
        store: NumberedDocuments,
        loss: str = "nll",
        world: World = ALONE,
    ) -> None:
        if loss in _OLD_NAMES:
            warn_of_old_name(f"the loss {loss!r}", repr(_OLD_NAMES[loss]))
            loss = _OLD_NAMES[loss]
        self.model = model.to_train()
        self.trained: nn.Module = self.model
        self.queries = queries
        self.world = world
        self._store = store
        self._loss = LOSSES.find(loss)
        described = {"name": model.name, "fingerprint": model.fingerprint(), "settings": model.settings.hashed()}
        named = {new: old for old, new in _OLD_NAMES.items()}.get(loss, loss)
        adapter = {"lora": dict(model.origin.adapter)} if model.origin.adapter else {}
        self.manifest: Mapping[str, Any] = {"model": described, **adapter, "loss": named}

    def rehearsed(self, world: World) -> Self:
        """See ``Objective.rehearsed``."""
        twin = copy.copy(self)
        twin.world = world
        return twin

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[Tensor, int]:
        """See ``Objective.backward``."""
        model, tokenizer = self.model, self.model.tokenizer
        own = self.world.dealt(len(batch.queries))
        documents_bK = np.concatenate([batch.positives[own, None], batch.negatives[own]], axis=1)
        asked = [self.queries.texts[query] for query in np.repeat(batch.queries[own], documents_bK.shape[1])]
        texts = {number: model.settings.join(self._store[number]) for number in np.unique(documents_bK).tolist()}
        passages = tokenizer.pairs(asked, [texts[number] for number in documents_bK.ravel().tolist()])
        pairs = [pair for (pair,) in passages]
        lengths = [len(pair.ids) for pair in pairs]

        def read(part: np.ndarray) -> Tensor:
            log_odds: Tensor = model(*tokenizer.pad([pairs[i] for i in part], model.device))
            return log_odds

        scores_bK = in_parts(read, lengths, model.device).view(documents_bK.shape) / temperature
        scores_BK = self.world.gather(scores_bK, np.ones(len(batch.queries), dtype=np.int64))
        loss = self._loss(scores_BK[:, 0], scores_BK[:, 1:])
        (loss * share).backward()
        return loss.detach(), sum(lengths)
