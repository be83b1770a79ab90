"""Which examples a step trains on: a function of the seed and the step alone, so that resuming needs no random state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ance_ir.datasets import DocumentStore
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.batching import length_sorted_batches, pad
from ance_ir.training.negatives import NegativeSource
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.settings import TrainingSettings

_ORDER, _DRAWS, _DROPOUT = range(3)
"""Streams of random numbers that must not meet."""

_TOKEN_BUDGET = {"cpu": 2_048, "cuda": 65_536}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B queries with one positive and N negatives each; documents by number.

    Attributes:
        queries: int64 ``[B]``.
        positives: int64 ``[B]``.
        negatives: int64 ``[B, N]``.
    """

    queries: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


class Batches:
    """Draws the batches of a run.

    Queries come in an order that is shuffled anew for each pass over them; of several positives one is drawn each time.
    """

    def __init__(self, queries: TrainingQueries, negatives: NegativeSource[Any], settings: TrainingSettings) -> None:
        self.queries = queries
        self.negatives = negatives
        self.settings = settings

    def of_step(self, step: int) -> list[Batch]:
        """The batches whose gradients make one optimiser step."""
        settings = self.settings
        generator = np.random.default_rng([settings.seed, _DRAWS, step])
        size = settings.batch_size
        first = step * settings.accumulation * size
        return [self._batch(self._order(first + i * size, size), generator) for i in range(settings.accumulation)]

    def _order(self, first: int, size: int) -> np.ndarray:
        """Queries at places ``first`` … of an endless sequence of passes."""
        places = np.arange(first, first + size)
        passes, within = np.divmod(places, len(self.queries))
        orders = {
            one: np.random.default_rng([self.settings.seed, _ORDER, one]).permutation(len(self.queries)) for one in set(passes.tolist())
        }
        return np.array([orders[one][place] for one, place in zip(passes.tolist(), within, strict=True)], dtype=np.int64)

    def _batch(self, queries: np.ndarray, generator: np.random.Generator) -> Batch:
        positives = np.array([generator.choice(self.queries.positives[query]) for query in queries], dtype=np.int64)
        return Batch(queries=queries, positives=positives, negatives=self.negatives.draw(queries, self.settings.negatives, generator))

    def dropout_seed(self, step: int) -> int:
        """What seeds torch for a step."""
        return int(np.random.default_rng([self.settings.seed, _DROPOUT, step]).integers(2**63))


def score(
    model: DenseEncoder, batch: Batch, queries: TrainingQueries, store: DocumentStore, scheme: PassageScheme
) -> tuple[Tensor, Tensor, int]:
    """Scores of a batch with gradients; each text is encoded once, however often it occurs.

    A document scores as its best passage (paper, section 3.1).

    Returns:
        Scores of the positives ``[B]`` and negatives ``[B, N]``, and the number of tokens that were encoded.
    """
    documents, places = np.unique(np.concatenate([batch.positives, batch.negatives.ravel()]), return_inverse=True)
    query_ids = model.tokenizer.queries([queries.texts[query] for query in batch.queries])
    cut = model.tokenizer.cut([model.text.join(store[int(number)]) for number in documents], scheme)
    passage_ids = [ids for passages in cut for ids in passages]
    owner_P = torch.tensor(np.repeat(np.arange(len(cut)), [len(passages) for passages in cut]), device=model.device)
    query_BD = _encode(model, model.query_tower, query_ids)
    passage_PD = _encode(model, model.passage_tower, passage_ids)
    scores_BP = query_BD.float() @ passage_PD.float().T
    scores_BU = scores_BP.new_full((len(query_ids), len(documents)), -torch.inf)
    scores_BU = scores_BU.scatter_reduce(1, owner_P.expand(len(query_ids), -1), scores_BP, "amax")
    places_B = torch.from_numpy(places[: len(query_ids)]).to(model.device)
    places_BN = torch.from_numpy(places[len(query_ids) :].reshape(batch.negatives.shape)).to(model.device)
    tokens = sum(map(len, query_ids)) + sum(map(len, passage_ids))
    return scores_BU.gather(1, places_B[:, None])[:, 0], scores_BU.gather(1, places_BN), tokens


def _encode(model: DenseEncoder, tower: torch.nn.Module, sequences: list[list[int]]) -> Tensor:
    """Vectors with gradients, ``[len(sequences), D]``."""

    def encode(part: np.ndarray) -> Tensor:
        vectors: Tensor = tower(*pad([sequences[i] for i in part], model.tokenizer.pad_id, model.device))
        return vectors

    return in_parts(encode, [len(sequence) for sequence in sequences], model.device)


def in_parts(forward: Callable[[np.ndarray], Tensor], lengths: Sequence[int], device: torch.device) -> Tensor:
    """Run sequences through a model in parts of similar length.

    Args:
        forward: given places of sequences returns a row for each.
        lengths: tokens of each sequence.
        device: where the model is.

    Returns:
        The rows, in the sequences' order.
    """
    parts = list(length_sorted_batches(lengths, _TOKEN_BUDGET.get(device.type, _TOKEN_BUDGET["cpu"])))
    rows = torch.cat([forward(part) for part in parts])
    return rows[torch.from_numpy(np.argsort(np.concatenate(parts))).to(device)]
