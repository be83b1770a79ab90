"""What training a dense encoder minimises. Shapes: B queries, N negatives a query, U distinct documents, P passages, D dimensions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ance_ir.choices import check_choice
from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.errors import UsageError
from ance_ir.models import CrossEncoder, DenseEncoder, PassageScheme
from ance_ir.models.compute.batching import pad
from ance_ir.models.compute.randomness import seeded
from ance_ir.training.batches import Batch
from ance_ir.training.negatives.source import InBatch
from ance_ir.training.objectives.distillations import DISTILLATIONS
from ance_ir.training.objectives.losses import LOSSES
from ance_ir.training.objectives.scoring import BatchTexts, document_scores, in_parts, read_batch, similar_lengths, too_near
from ance_ir.training.objectives.teachers import AskedTeacher, Teacher
from ance_ir.training.queries import TrainingQueries
from ance_ir.world import ALONE, World


class DenseObjective:
    """A dense encoder is to score a query's positive above its negatives.

    Args:
        model: trained in place.
        queries: with their positives.
        store: the documents' texts.
        passages: how a document is cut for training; it scores as its best passage.
        loss: over scores, or, with a teacher, over its and the teacher's scores.
        teacher: what to distil from, on the negatives that are drawn; a cross-encoder is asked about every pair.
        dimensions: also apply the loss to vectors cut to so many first dimensions (Matryoshka); the losses are averaged.
        grad_cache: encode a batch twice, in parts, so that memory does not bound its size (Gao et al. 2021); the gradients are the same.
        in_batch_margin: documents of the batch that score less than this below a query's positive, by the model as it is, are not among
            its negatives; those that were drawn for the query stay.
        world: the processes that a batch's texts are dealt to.

    Raises:
        UsageError: there is no such loss, or a teacher without a loss for it, or the other way round, or no such dimension; the margin
            is no finite number; or the encoder was converted to another precision than its checkpoint's.
    """

    def __init__(
        self,
        model: DenseEncoder,
        queries: TrainingQueries,
        store: NumberedDocuments,
        passages: PassageScheme,
        *,
        loss: str = "pairwise-nll",
        teacher: Teacher | CrossEncoder | None = None,
        dimensions: Sequence[int] = (),
        grad_cache: bool = False,
        in_batch_margin: float | None = None,
        world: World = ALONE,
    ) -> None:
        check_choice("loss", loss, [*LOSSES, *DISTILLATIONS])
        if (loss in DISTILLATIONS) != (teacher is not None):
            raise UsageError(f"{', '.join(DISTILLATIONS)} need a teacher, and only they; the loss is {loss}")
        if any(not 0 < dimension < model.dimension for dimension in dimensions):
            raise UsageError(f"vectors of {model.dimension} dimensions can be cut to fewer, not to {', '.join(map(str, dimensions))}")
        if in_batch_margin is not None and not math.isfinite(in_batch_margin):
            raise UsageError(f"in_batch_margin must be a finite number, not {in_batch_margin}")
        model.check_unconverted("trained")
        model.tokenizer.cut([""], passages)  # a scheme that the model cannot take shows before a folder is claimed
        if isinstance(teacher, CrossEncoder):
            teacher = AskedTeacher(teacher, queries, store, passages)
        self.model = model.float()  # in half precision small updates would vanish
        self.queries = queries
        self._store = store
        self._passages = passages
        self._loss = loss
        self._teacher = teacher
        self.in_batch = teacher is None
        self._dimensions = (*sorted(set(dimensions)), model.dimension)
        self._grad_cache = grad_cache
        self._in_batch_margin = in_batch_margin
        self.world = world
        layers = getattr(model.query_tower.backbone.config, "num_hidden_layers", None)
        described = {"name": model.name, "layers": layers, "fingerprint": model.fingerprint(), "text": asdict(model.settings)}
        self.manifest: Mapping[str, Any] = {
            "model": described,
            "passages": str(passages),
            "loss": loss,
            "teacher": dict(teacher.manifest) if teacher is not None else None,
            "dimensions": list(self._dimensions),
            "grad_cache": grad_cache,
            **({} if in_batch_margin is None else {"in_batch_margin": in_batch_margin}),
        }

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[float, int]:
        """See ``Objective.backward``."""
        texts = read_batch(self.model, batch, self.queries, self._store, self._passages, self.world)
        if self._grad_cache:
            return self._backward_in_parts(batch, texts, temperature, share), texts.tokens
        query_BD = self._encode(self.model.query_tower, texts.queries)
        passage_PD = self._encode(self.model.passage_tower, texts.passages)
        loss = self._loss_of(batch, texts, query_BD, passage_PD, temperature)
        (loss * share).backward()
        return float(loss.detach()), texts.tokens

    def _backward_in_parts(self, batch: Batch, texts: BatchTexts, temperature: float, share: float) -> float:
        """The vectors without their graph, the loss's gradients on them, then part by part with the graph."""
        seed = int(torch.randint(2**62, ()))  # of the dropout, the same both times
        sides = [(self.model.query_tower, texts.queries), (self.model.passage_tower, texts.passages)]
        with torch.no_grad():
            leaves = [self._encode(tower, sequences, seed).requires_grad_() for tower, sequences in sides]
        loss = self._loss_of(batch, texts, leaves[0], leaves[1], temperature)
        (loss * share).backward()
        for (tower, sequences), leaf in zip(sides, leaves, strict=True):
            assert leaf.grad is not None
            for part in similar_lengths([len(sequence) for sequence in sequences], self.model.device):
                self._part(tower, sequences, part, seed).backward(leaf.grad[torch.from_numpy(part).to(leaf.device)])
        return float(loss.detach())

    def _encode(self, tower: nn.Module, sequences: list[list[int]], seed: int | None = None) -> Tensor:
        """Vectors, ``[len(sequences), D]``; with a seed, each part's dropout is one that can be repeated."""
        if not sequences:  # fewer documents than processes
            return torch.zeros((0, self.model.dimension), device=self.model.device)
        lengths = [len(sequence) for sequence in sequences]
        return in_parts(lambda part: self._part(tower, sequences, part, seed), lengths, self.model.device)

    def _part(self, tower: nn.Module, sequences: list[list[int]], part: np.ndarray, seed: int | None) -> Tensor:
        with contextlib.ExitStack() as stack:
            if seed is not None:
                stack.enter_context(seeded(seed + int(part[0]), self.model.device))
            vectors: Tensor = tower(*pad([sequences[i] for i in part], self.model.tokenizer.pad_id, self.model.device))
        return vectors.float()

    def _loss_of(self, batch: Batch, texts: BatchTexts, query_BD: Tensor, passage_PD: Tensor, temperature: float) -> Tensor:
        """The loss over all dimensions that were asked for, of the whole batch; the vectors are this process's."""
        losses = []
        taught = self._taught(batch) if self._teacher is not None else None
        in_batch = "none" if taught is not None else batch.in_batch
        query_BD = self.world.gather(query_BD, np.ones(len(batch.queries), dtype=np.int64))
        passage_PD = self.world.gather(passage_PD, texts.passages_U)
        owner_P = torch.from_numpy(np.repeat(np.arange(len(texts.passages_U)), texts.passages_U)).to(query_BD.device)
        scores = [self._scores(query_BD, passage_PD, owner_P, len(texts.passages_U), dimension) for dimension in self._dimensions]
        allowed_BU = torch.from_numpy(texts.allowed_BU).to(query_BD.device)
        if self._in_batch_margin is not None and in_batch != "none":
            allowed_BU = allowed_BU & ~too_near(texts, scores[-1].detach(), self._in_batch_margin)
        for scores_BU in scores:
            positive_B, negative_BN = _positives_and_negatives(texts, scores_BU / temperature, allowed_BU, in_batch)
            if taught is not None:
                losses.append(DISTILLATIONS[self._loss](positive_B, negative_BN, *taught))
            else:
                losses.append(LOSSES[self._loss](positive_B, negative_BN))
        return torch.stack(losses).mean()

    def _scores(self, query_BD: Tensor, passage_PD: Tensor, owner_P: Tensor, documents: int, dimension: int) -> Tensor:
        """The scores ``[B, U]`` by the first dimensions of the vectors."""
        query_BE, passage_PE = query_BD[:, :dimension], passage_PD[:, :dimension]
        if self.model.similarity == "cosine" and dimension < self.model.dimension:
            query_BE, passage_PE = nn.functional.normalize(query_BE, dim=-1), nn.functional.normalize(passage_PE, dim=-1)
        return document_scores(query_BE, passage_PE, owner_P, documents)

    def _taught(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The teacher's scores of the positives ``[B]`` and the drawn negatives ``[B, N]``."""
        assert self._teacher is not None
        if not batch.negatives.size:
            raise UsageError(f"{self._loss} learns from drawn negatives, and none are drawn; add random, bm25 or ance negatives")
        own = self.world.dealt(len(batch.queries))
        documents_bK = np.concatenate([batch.positives[own, None], batch.negatives[own]], axis=1)
        scores_bK = torch.from_numpy(self._teacher.scores(batch.queries[own], documents_bK)).to(self.model.device)
        scores_BK = self.world.gather(scores_bK, np.ones(len(batch.queries), dtype=np.int64))
        return scores_BK[:, 0], scores_BK[:, 1:]


def _positives_and_negatives(texts: BatchTexts, scores_BU: Tensor, allowed_BU: Tensor, in_batch: InBatch) -> tuple[Tensor, Tensor]:
    """Scores of the positives ``[B]`` and of the negatives ``[B, N]``; −∞ where a query has fewer than others."""
    device = scores_BU.device
    positive_B = scores_BU.gather(1, torch.from_numpy(texts.positive_B).to(device)[:, None])[:, 0]
    drawn_BN = scores_BU.gather(1, torch.from_numpy(texts.negative_BN).to(device))
    if in_batch == "none":
        return positive_B, drawn_BN
    allowed_BU = scores_BU.masked_fill(~allowed_BU, -torch.inf)
    if in_batch == "all":  # those that were drawn are among them
        return positive_B, allowed_BU
    return positive_B, torch.cat([drawn_BN, allowed_BU.max(1, keepdim=True).values], dim=1)
