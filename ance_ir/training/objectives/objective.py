"""What a run trains, and what it minimises: the protocol, and the reranker's; the dense encoder's is in ``dense_objective``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args

import numpy as np
from torch import Tensor

from ance_ir.datasets import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.models import CrossEncoder
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.losses import hinge, nll
from ance_ir.training.objectives.scoring import in_parts
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run.folder import Model
from ance_ir.world import ALONE, World

RerankerLoss = Literal["cross-entropy", "margin"]

_RERANKER_LOSSES = MappingProxyType({"cross-entropy": nll, "margin": hinge})


class Objective(Protocol[Model]):
    """The loss of a model on a batch.

    Attributes:
        model: trained in place.
        queries: with their positives.
        told: what the run's manifest says of it.
        world: the processes that a batch is dealt to.
        in_batch: whether the documents of a batch can be negatives of its queries; else only drawn ones are.
    """

    model: Model
    queries: TrainingQueries
    told: Mapping[str, Any]
    world: World
    in_batch: bool

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[float, int]:
        """Add the gradients of a batch's loss to those of the model; of several processes each adds its part.

        Args:
            batch: what to compute it on.
            temperature: scores are divided by it.
            share: the gradients are multiplied by it.

        Returns:
            The loss of the whole batch, and the number of tokens that this process read.
        """
        ...


class RerankerObjective:
    """A cross-encoder is to score a query's positive above its negatives. A document is cut where its pair is full: its first passage.

    Args:
        model: trained in place.
        queries: with their positives.
        store: the documents' texts.
        loss: ``"cross-entropy"``, a softmax over the positive and its negatives, or ``"margin"``, which asks for a difference of 1 in each
            pair; both on log-odds.
        world: the processes that a batch's pairs are dealt to.
    """

    in_batch = False

    def __init__(
        self,
        model: CrossEncoder,
        queries: TrainingQueries,
        store: DocumentStore,
        loss: RerankerLoss = "cross-entropy",
        world: World = ALONE,
    ) -> None:
        if loss not in get_args(RerankerLoss):
            raise UsageError(f"the loss is one of {', '.join(get_args(RerankerLoss))}, not {loss!r}")
        self.model = model.float()  # in half precision small updates would vanish
        self.queries = queries
        self.world = world
        self._store = store
        self._loss = _RERANKER_LOSSES[loss]
        described = {"name": model.name, "fingerprint": model.fingerprint(), "settings": asdict(model.settings)}
        self.told: Mapping[str, Any] = {"model": described, "loss": loss}

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[float, int]:
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
        return float(loss.detach()), sum(lengths)
