"""From a batch to its scores. Shapes: B queries, U distinct documents, P passages of theirs, N negatives a query, D dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.compute.batching import length_sorted_batches, transferred
from ance_ir.training.batches import Batch
from ance_ir.training.negatives.source import InBatch
from ance_ir.training.queries import TrainingQueries
from ance_ir.world import World

_TOKEN_BUDGET = {"cpu": 2_048, "cuda": 65_536}


@dataclass(frozen=True, kw_only=True)
class BatchTexts:
    """What a batch reads, each text once, however often it occurs, and of these what was dealt to this process.

    Attributes:
        queries: token ids of this process's queries.
        passages: token ids of the passages of this process's documents.
        passages_U: how many passages each document has, of all processes, int64.
        positive_B: the document that is each query's positive, int64.
        negative_BN: the documents that are its negatives, int64.
        allowed_BU: documents that are not excluded for a query, bool.
    """

    queries: list[list[int]]
    passages: list[list[int]]
    passages_U: np.ndarray
    positive_B: np.ndarray
    negative_BN: np.ndarray
    allowed_BU: np.ndarray

    @property
    def tokens(self) -> int:
        """How many tokens this process reads."""
        return sum(map(len, self.queries)) + sum(map(len, self.passages))


def read_batch(
    model: DenseEncoder, batch: Batch, queries: TrainingQueries, store: NumberedDocuments, scheme: PassageScheme, world: World
) -> BatchTexts:
    """Tokenise this process's part of a batch."""
    documents_U, places = np.unique(np.concatenate([batch.positives, batch.negatives.ravel()]), return_inverse=True)
    own = documents_U[world.dealt(len(documents_U))]
    cut = model.tokenizer.cut([model.settings.join(store[int(number)]) for number in own], scheme)
    asked = batch.queries[world.dealt(len(batch.queries))]
    return BatchTexts(
        queries=model.tokenizer.queries([queries.texts[query] for query in asked]),
        passages=[ids for passages in cut.lists() for ids in passages],
        passages_U=world.gather_counts(cut.counts_N, len(documents_U)),
        positive_B=places[: len(batch.queries)],
        negative_BN=places[len(batch.queries) :].reshape(batch.negatives.shape),
        allowed_BU=np.stack([~np.isin(documents_U, queries.excluded[query]) for query in batch.queries]),
    )


def document_scores(query_BD: Tensor, passage_PD: Tensor, owner_P: Tensor, documents: int) -> Tensor:
    """Scores ``[B, U]`` in float32; a document scores as its best passage (paper, section 3.1)."""
    with torch.autocast(query_BD.device.type, enabled=False):
        scores_BP = query_BD.float() @ passage_PD.float().T
    scores_BU = scores_BP.new_full((len(query_BD), documents), -torch.inf)
    return scores_BU.scatter_reduce(1, owner_P.expand(len(query_BD), -1), scores_BP, "amax")


def too_near(texts: BatchTexts, scores_BU: Tensor, margin: float) -> Tensor:
    """Which documents score less than a margin below each query's positive, bool ``[B, U]``; those that were drawn for it do not count.

    Args:
        texts: of the batch.
        scores_BU: without their gradients.
        margin: see above.
    """
    positive_B1 = scores_BU.gather(1, transferred(texts.positive_B, scores_BU.device)[:, None])
    near_BU = scores_BU > positive_B1 - margin
    return near_BU.scatter(1, transferred(texts.negative_BN, scores_BU.device), False)


def rows_of_queries(texts: BatchTexts, scores_BU: Tensor, allowed_BU: Tensor, in_batch: InBatch) -> tuple[Tensor, Tensor]:
    """Scores of each query's positive ``[B]`` and of its negatives ``[B, K]``; −∞ where a query has fewer than others.

    Args:
        texts: of the batch.
        scores_BU: of queries and documents.
        allowed_BU: which documents of the batch may be negatives.
        in_batch: which of these are, in addition to those that were drawn.
    """
    device = scores_BU.device
    positive_B = scores_BU.gather(1, transferred(texts.positive_B, device)[:, None])[:, 0]
    drawn_BN = scores_BU.gather(1, transferred(texts.negative_BN, device))
    if in_batch == "none":
        return positive_B, drawn_BN
    others_BU = scores_BU.masked_fill(~allowed_BU, -torch.inf)
    if in_batch == "all":  # those that were drawn are among them
        return positive_B, others_BU
    return positive_B, torch.cat([drawn_BN, others_BU.max(1, keepdim=True).values], dim=1)


def rows_of_positives(texts: BatchTexts, scores_BU: Tensor, allowed_BU: Tensor, in_batch: InBatch) -> tuple[Tensor, Tensor]:
    """The other direction: scores of each query's positive with its query ``[B]``, and with other queries of the batch, ``[B, K]``.

    A query is among them if the positive may be a negative of it.

    Args:
        texts: of the batch.
        scores_BU: of queries and documents.
        allowed_BU: which documents of the batch may be negatives.
        in_batch: all such queries, or the one that scores highest.
    """
    positive_B = transferred(texts.positive_B, scores_BU.device)
    others_BB = scores_BU.masked_fill(~allowed_BU, -torch.inf)[:, positive_B].T
    own_B = scores_BU.gather(1, positive_B[:, None])[:, 0]
    return own_B, others_BB if in_batch == "all" else others_BB.max(1, keepdim=True).values


def similar_lengths(lengths: Sequence[int], device: torch.device) -> list[np.ndarray]:
    """Places of sequences in parts of similar length that fit into memory with their gradients."""
    return list(length_sorted_batches(lengths, _TOKEN_BUDGET.get(device.type, _TOKEN_BUDGET["cpu"])))


def in_parts(forward: Callable[[np.ndarray], Tensor], lengths: Sequence[int], device: torch.device) -> Tensor:
    """Run sequences through a model in parts of similar length.

    Args:
        forward: given places of sequences returns a row for each.
        lengths: tokens of each sequence.
        device: where the model is.

    Returns:
        The rows, in the sequences' order.
    """
    parts = similar_lengths(lengths, device)
    rows = torch.cat([forward(part) for part in parts])
    return rows[transferred(np.argsort(np.concatenate(parts)), device)]
