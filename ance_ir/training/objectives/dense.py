"""What training a dense encoder minimises. Shapes: B queries, N negatives a query, P passages, D dimensions."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ance_ir.choices import check_choice
from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.errors import UsageError
from ance_ir.models import CrossEncoder, DenseEncoder, PassageScheme
from ance_ir.models.compute.batching import pad, transferred
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.dense.accelerated import forget_compiled
from ance_ir.models.dense.tower import Tower
from ance_ir.models.dense.unpadded import unpadded, unpads
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.batch_loss import BatchLoss
from ance_ir.training.objectives.scoring import BatchTexts, in_parts, read_batch, similar_lengths
from ance_ir.training.objectives.teachers import AskedTeacher, Teacher, Unasked
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
        teacher_temperature: its scores are divided by it.
        dimensions: also apply the loss to vectors cut to so many first dimensions (Matryoshka, Kusupati et al. 2022); the losses are
            averaged.
        dimension_weights: of these losses, one for each of ``dimensions``; that of the whole vectors has 1 unless it is among them.
        grad_cache: encode a batch twice, in parts, so that memory does not bound its size (Gao et al. 2021); the gradients are the same.
        in_batch_margin: documents of the batch that score less than this below a query's positive, by the model as it is, are not among
            its negatives; those that were drawn for the query stay.
        symmetric: also apply the loss to each positive and the queries of its batch, wherever documents of the batch are negatives, and
            average the two directions.
        train_tower: ``"query"`` or ``"passage"``: train this one of two towers alone. The other computes without dropout and gradients;
            where it is the passage tower, an index stays valid (ADORE, Zhan et al. 2021).
        world: the processes that a batch's texts are dealt to.

    Raises:
        UsageError: there is no such loss, or a teacher without a loss for it, or the other way round, or no such dimension; a number is
            none that it can be; or the encoder was converted to another precision than its checkpoint's, or has no tower of this name
            alone.
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
        teacher_temperature: float = 1.0,
        dimensions: Sequence[int] = (),
        dimension_weights: Sequence[float] = (),
        grad_cache: bool = False,
        in_batch_margin: float | None = None,
        symmetric: bool = False,
        train_tower: str | None = None,
        world: World = ALONE,
    ) -> None:
        self._loss = BatchLoss(
            model.dimension,
            model.similarity,
            loss=loss,
            taught=teacher is not None,
            teacher_temperature=teacher_temperature,
            dimensions=dimensions,
            dimension_weights=dimension_weights,
            in_batch_margin=in_batch_margin,
            symmetric=symmetric,
        )
        model.tokenizer.cut([""], passages)  # a scheme that the model cannot take shows before a folder is claimed
        if isinstance(teacher, CrossEncoder):
            teacher = AskedTeacher(teacher, queries, store, passages)
        self._frozen = _other_tower(model, train_tower) if train_tower is not None else None
        self.model = model.to_train()
        self.trained: nn.Module = model if train_tower is None else model.query_tower if train_tower == "query" else model.passage_tower
        self.queries = queries
        self._store = store
        self._passages = passages
        self._teacher = teacher
        self.in_batch = teacher is None
        self._grad_cache = grad_cache
        self.world = world
        layers = getattr(model.query_tower.backbone.config, "num_hidden_layers", None)
        described = {"name": model.name, "layers": layers, "fingerprint": model.fingerprint(), "text": model.settings.hashed()}
        self.manifest: Mapping[str, Any] = {
            "model": described,
            **({"lora": dict(model.origin.adapter)} if model.origin.adapter else {}),
            "passages": str(passages),
            "teacher": dict(teacher.manifest) if teacher is not None else None,
            "grad_cache": grad_cache,
            **self._loss.manifest,
            **({"towers": "separated"} if model.origin.separated else {}),
            **({"train_tower": train_tower} if train_tower is not None else {}),
        }

    def rehearsed(self, world: World) -> Self:
        """See ``Objective.rehearsed``."""
        twin = copy.copy(self)
        twin.world = world
        twin._teacher = Unasked() if self._teacher is not None else None
        return twin

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[Tensor, int]:
        """See ``Objective.backward``."""
        for tower in (self.model.query_tower, self.model.passage_tower):
            forget_compiled(tower)
        if self._frozen is not None:
            self._frozen.eval()
        texts = read_batch(self.model, batch, self.queries, self._store, self._passages, self.world)
        if self._grad_cache:
            return self._backward_in_parts(batch, texts, temperature, share), texts.tokens
        query_BD = self._encode(self.model.query_tower, texts.queries)
        passage_PD = self._encode(self.model.passage_tower, texts.passages)
        loss = self._loss_of(batch, texts, query_BD, passage_PD, temperature)
        if loss.requires_grad:  # unless this process has no text of the tower that is trained
            (loss * share).backward()
        return loss.detach(), texts.tokens

    def _backward_in_parts(self, batch: Batch, texts: BatchTexts, temperature: float, share: float) -> Tensor:
        """The vectors without their graph, the loss's gradients on them, then part by part with the graph."""
        seed = int(torch.randint(2**62, ()))  # of the dropout, the same both times
        sides = [(self.model.query_tower, texts.queries), (self.model.passage_tower, texts.passages)]
        with torch.no_grad():
            leaves = [self._encode(tower, sequences, seed).requires_grad_() for tower, sequences in sides]
        torch.clear_autocast_cache()  # of weights without a graph, which some versions of torch would take again
        loss = self._loss_of(batch, texts, leaves[0], leaves[1], temperature)
        (loss * share).backward()
        for (tower, sequences), leaf in zip(sides, leaves, strict=True):
            if tower is self._frozen:
                continue
            assert leaf.grad is not None
            for part in similar_lengths([len(sequence) for sequence in sequences], self.model.device):
                self._part(tower, sequences, part, seed).backward(leaf.grad[transferred(part, leaf.device)])
        return loss.detach()

    def _encode(self, tower: Tower, sequences: list[list[int]], seed: int | None = None) -> Tensor:
        """Vectors, ``[len(sequences), D]``; with a seed, each part's dropout is one that can be repeated."""
        if not sequences:  # fewer documents than processes
            return torch.zeros((0, self.model.dimension), device=self.model.device)
        lengths = [len(sequence) for sequence in sequences]
        return in_parts(lambda part: self._part(tower, sequences, part, seed), lengths, self.model.device)

    def _part(self, tower: Tower, sequences: list[list[int]], part: np.ndarray, seed: int | None) -> Tensor:
        with contextlib.ExitStack() as stack:
            if seed is not None:
                stack.enter_context(seeded(seed + int(part[0]), self.model.device))
            stack.enter_context(torch.set_grad_enabled(torch.is_grad_enabled() and tower is not self._frozen))
            chosen = [sequences[i] for i in part]
            lengths_B = np.array([*map(len, chosen)])
            if unpads(tower, lengths_B):
                return unpadded(tower, np.concatenate(chosen), lengths_B).float()
            vectors: Tensor = tower(*pad(chosen, self.model.tokenizer.pad_id, self.model.device))
        return vectors.float()

    def _loss_of(self, batch: Batch, texts: BatchTexts, query_BD: Tensor, passage_PD: Tensor, temperature: float) -> Tensor:
        """The loss of the whole batch; the vectors are this process's."""
        taught_BK = self._taught(batch) if self._teacher is not None else None
        query_BD = self.world.gather(query_BD, np.ones(len(batch.queries), dtype=np.int64))
        passage_PD = self.world.gather(passage_PD, texts.passages_U)
        in_batch = batch.in_batch if taught_BK is None else "none"
        return self._loss(texts, query_BD, passage_PD, temperature, in_batch, taught_BK)

    def _taught(self, batch: Batch) -> Tensor:
        """The teacher's scores ``[B, 1 + N]`` of the positives and the drawn negatives."""
        assert self._teacher is not None
        if not batch.negatives.size:
            raise UsageError(f"{self.manifest['loss']} learns from drawn negatives, and none are drawn; add random, bm25 or ance negatives")
        own = self.world.dealt(len(batch.queries))
        documents_bK = np.concatenate([batch.positives[own, None], batch.negatives[own]], axis=1)
        scores_bK = transferred(self._teacher.scores(batch.queries[own], documents_bK), self.model.device)
        return self.world.gather(scores_bK, np.ones(len(batch.queries), dtype=np.int64))


def _other_tower(model: DenseEncoder, trained: str) -> Tower:
    """The tower that is not trained.

    Raises:
        UsageError: there is no such tower, or one alone.
    """
    check_choice("tower", trained, ("query", "passage"))
    if model.shared:
        raise UsageError(
            f"train_tower {trained}: in {model.name} queries and passages share one tower; "
            "separate towers were expected: --separate-towers copies it (model.with_separate_towers())"
        )
    return model.passage_tower if trained == "query" else model.query_tower
