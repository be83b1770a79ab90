"""The loss of a batch of a dense encoder, over its vectors.

Shapes: B queries, N negatives a query, K documents of each, U distinct documents, P passages, D dimensions, E of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models.compute.batching import transferred
from ance_ir.models.dense.tower import Similarity
from ance_ir.ragged import owners_of
from ance_ir.training.negatives.source import InBatch
from ance_ir.training.objectives.distillations import DISTILLATIONS
from ance_ir.training.objectives.losses import LOSSES
from ance_ir.training.objectives.scoring import BatchTexts, document_scores, rows_of_positives, rows_of_queries, too_near


class BatchLoss:
    """A loss over scores, or over its and a teacher's scores, in one direction or both, of whole vectors and of cut ones.

    Args:
        dimension: of whole vectors.
        similarity: of two vectors.
        loss: see ``DenseObjective``, like all below.
        taught: whether there is a teacher.
        teacher_temperature: see there.
        dimensions: see there.
        dimension_weights: see there.
        in_batch_margin: see there.
        symmetric: see there.

    Raises:
        UsageError: see there.
    """

    def __init__(
        self,
        dimension: int,
        similarity: Similarity,
        *,
        loss: str,
        taught: bool,
        teacher_temperature: float,
        dimensions: Sequence[int],
        dimension_weights: Sequence[float],
        in_batch_margin: float | None,
        symmetric: bool,
    ) -> None:
        check_choice("loss", loss, [*LOSSES, *DISTILLATIONS])
        if (loss in DISTILLATIONS) != taught:
            raise UsageError(f"{', '.join(DISTILLATIONS)} need a teacher, and only they; the loss is {loss}")
        if not taught and teacher_temperature != 1:
            raise UsageError(f"a teacher's temperature needs a teacher, which {', '.join(DISTILLATIONS)} have; the loss is {loss}")
        if not 0 < teacher_temperature < math.inf:
            raise UsageError(f"teacher_temperature is a finite number above 0, not {teacher_temperature}")
        if symmetric and taught:
            raise UsageError(f"symmetric is for losses with negatives of the batch; {loss} learns from what a teacher scores")
        if in_batch_margin is not None and not math.isfinite(in_batch_margin):
            raise UsageError(f"in_batch_margin must be a finite number, not {in_batch_margin}")
        self._similarity = similarity
        self._loss = loss
        self._teacher_temperature = teacher_temperature
        self._weights = matryoshka(dimensions, dimension_weights, dimension)
        self._in_batch_margin = in_batch_margin
        self._symmetric = symmetric
        # what runs have only where it is set is absent from the manifests of older ones, which are resumed
        self.manifest: dict[str, Any] = {
            "loss": loss,
            "dimensions": list(self._weights),
            **({"dimension_weights": list(self._weights.values())} if dimension_weights else {}),
            **({"in_batch_margin": in_batch_margin} if in_batch_margin is not None else {}),
            **({"symmetric": True} if symmetric else {}),
            **({"teacher_temperature": teacher_temperature} if teacher_temperature != 1 else {}),
        }

    def __call__(
        self, texts: BatchTexts, query_BD: Tensor, passage_PD: Tensor, temperature: float, in_batch: InBatch, taught_BK: Tensor | None
    ) -> Tensor:
        """The weighted mean of the losses over all numbers of dimensions.

        Args:
            texts: of the batch.
            query_BD: vectors of all its queries.
            passage_PD: of the passages of all its documents.
            temperature: scores are divided by it.
            in_batch: which of the batch's other documents are negatives as well.
            taught_BK: the teacher's scores of the positives, in column 0, and of the drawn negatives, where there is a teacher.
        """
        owner_P = transferred(owners_of(texts.passages_U), query_BD.device)
        scores = [self._scores(query_BD, passage_PD, owner_P, len(texts.passages_U), dimension) for dimension in self._weights]
        allowed_BU = transferred(texts.allowed_BU, query_BD.device)
        if self._in_batch_margin is not None and in_batch != "none":
            allowed_BU = allowed_BU & ~too_near(texts, scores[-1].detach(), self._in_batch_margin)
        directions = [rows_of_queries, rows_of_positives] if self._symmetric and in_batch != "none" else [rows_of_queries]
        total = query_BD.new_zeros(())
        for scores_BU, weight in zip(scores, self._weights.values(), strict=True):
            rows = [rows_of(texts, scores_BU / temperature, allowed_BU, in_batch) for rows_of in directions]
            total = total + weight * torch.stack([self._over(*row, taught_BK) for row in rows]).mean()
        return total / sum(self._weights.values())

    def _over(self, positive_B: Tensor, negative_BN: Tensor, taught_BK: Tensor | None) -> Tensor:
        if taught_BK is None:
            return LOSSES[self._loss](positive_B, negative_BN)
        taught_BK = taught_BK / self._teacher_temperature
        return DISTILLATIONS[self._loss](positive_B, negative_BN, taught_BK[:, 0], taught_BK[:, 1:])

    def _scores(self, query_BD: Tensor, passage_PD: Tensor, owner_P: Tensor, documents: int, dimension: int) -> Tensor:
        """The scores ``[B, U]`` by the first dimensions of the vectors."""
        query_BE, passage_PE = query_BD[:, :dimension], passage_PD[:, :dimension]
        if self._similarity == "cosine" and dimension < query_BD.shape[1]:
            query_BE, passage_PE = nn.functional.normalize(query_BE, dim=-1), nn.functional.normalize(passage_PE, dim=-1)
        return document_scores(query_BE, passage_PE, owner_P, documents)


def matryoshka(dimensions: Sequence[int], weights: Sequence[float], whole: int) -> dict[int, float]:
    """The weight of the loss over each number of first dimensions, ascending; the whole vectors, last, have 1 unless they are named.

    Args:
        dimensions: numbers of first dimensions.
        weights: one for each of them; none: 1 for each.
        whole: dimensions of the whole vectors.

    Raises:
        UsageError: a number of dimensions that the vectors do not have, or that is named twice, or not as many weights, or a weight that
            is not a finite number above 0.
    """
    named = ", ".join(map(str, dimensions)) or "none"
    if any(not 0 < dimension <= whole for dimension in dimensions):
        raise UsageError(f"vectors have {whole} dimensions, of which the first 1 to {whole} can be trained on, not {named}")
    if len(set(dimensions)) < len(dimensions):
        raise UsageError(f"each number of dimensions is named once, unlike in {named}")
    if weights and len(weights) != len(dimensions):
        raise UsageError(f"a weight for each of the dimensions ({named}) was expected, not {len(weights)} weights")
    if any(not 0 < weight < math.inf for weight in weights):
        raise UsageError(f"weights of dimensions are finite numbers above 0, not {', '.join(map(str, weights))}")
    return dict(sorted({whole: 1.0, **dict(zip(dimensions, weights or [1.0] * len(dimensions), strict=True))}.items()))
