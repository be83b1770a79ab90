"""Settings of a training run; all of them go into its manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ance_ir.brief import Brief
from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.registries import OPTIMISERS, SCHEDULES

WEIGHTS = ("float32", "bfloat16")
"""The types in which weights are trained."""
SELECT = ("best", "last")
"""Which model a run leaves, of those that were evaluated on dev queries."""
TEMPERATURES: Mapping[str, float] = MappingProxyType({"cosine": 0.05, "dot": 1.0})
"""By what scores of a similarity are divided, unless it is said."""
_LATER = {"later": True}
"""Of a setting that older runs do not name; they had its default."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class TrainingSettings(Brief):
    """Settings of a training run.

    Attributes:
        steps: optimiser steps.
        batch_size: queries of a batch.
        accumulation: batches whose gradients make one step.
        negatives: negatives drawn for each query, in addition to those of its batch, if any.
        learning_rate: its peak.
        optimiser: ``"adamw"``, ``"lamb"`` (the reference's), ``"adafactor"`` or ``"adamw8bit"``.
        schedule: of the learning rate after its warm-up, to the end of the run: ``"linear"`` or ``"cosine"`` to 0, or ``"constant"``.
        warm_up_steps: of the learning rate: steps over which it rises from 0.
        weight_decay: on matrices only.
        freeze: leave the embeddings and so many first layers as they are; 0: the embeddings alone.
        layer_decay: each layer has the learning rate of the one after it times this, the embeddings that of the first layer times this;
            the last layer and what follows it have the whole rate (Sun et al. 2019, section 5.4.3).
        clip: the gradient is scaled down to this norm.
        temperature: scores are divided by it in the loss; 1 for raw inner products (paper, equation 6), about 0.05 for cosines.
        refresh_every: steps between two refreshes of mined negatives.
        checkpoint_every: steps between two checkpoints; ``None``: at each refresh.
        keep_checkpoints: how many of the newest stay.
        dropout: whether the backbone's dropout is on.
        bfloat16: compute in bfloat16 where that is safe (autocast); weights and optimiser stay in float32.
        weights: the type of the weights and their gradients: ``"float32"``, or ``"bfloat16"``, which takes 4 bytes a weight less; each
            update is then computed in float32 and rounded up or down by chance, and the optimiser's state stays in float32.
        gradient_checkpointing: keep each layer's input only, and compute the rest again for the gradients: less memory, more time.
        select: the model that the run leaves where dev queries are evaluated: ``"best"`` of those that were evaluated, by the first
            measure, the last one included; or ``"last"``.
        stop_after: end the run once so many evaluations in a row have brought no gain; ``None``: never.
        seed: of everything random.
    """

    steps: int
    batch_size: int = 16
    accumulation: int = 1
    negatives: int = 1
    learning_rate: float = 1e-5
    optimiser: str = "adamw"
    schedule: str = "linear"
    warm_up_steps: int = 0
    weight_decay: float = 0.0
    freeze: int | None = None
    layer_decay: float | None = None
    clip: float = 1.0
    temperature: float = 1.0
    refresh_every: int = 1000
    checkpoint_every: int | None = None
    keep_checkpoints: int = 2
    dropout: bool = True
    bfloat16: bool = False
    weights: str = dataclasses.field(default="float32", metadata=_LATER)
    gradient_checkpointing: bool = False
    select: str = dataclasses.field(default="best", metadata=_LATER)
    stop_after: int | None = dataclasses.field(default=None, metadata=_LATER)
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "refresh_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.negatives < 0:
            raise UsageError(f"negatives is at least 0, not {self.negatives}")
        for name in ("checkpoint_every", "stop_after"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip", "temperature"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is above 0, not {getattr(self, name)}")
        OPTIMISERS.check(self.optimiser)
        SCHEDULES.check(self.schedule)
        check_choice("type of weights", self.weights, WEIGHTS)
        check_choice("model to select", self.select, SELECT)
        if self.gradient_checkpointing and not self.dropout:
            raise UsageError("gradient checkpointing saves memory only while dropout is on; leave one of the two out")
        if not 0 <= self.warm_up_steps <= self.steps:
            raise UsageError(f"warm_up_steps lies between 0 and the run's {self.steps} steps, not at {self.warm_up_steps}")
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise UsageError(f"layer_decay is above 0 and at most 1, not {self.layer_decay}")
        for name in ("weight_decay", "seed", "freeze"):
            if not (getattr(self, name) or 0) >= 0:
                raise UsageError(f"{name} is at least 0, not {getattr(self, name)}")

    @property
    def manifest(self) -> dict[str, Any]:
        """All of them, but for those of ``_LATER`` at their defaults."""
        fields = dataclasses.fields(self)
        return {one.name: getattr(self, one.name) for one in fields if not one.metadata or getattr(self, one.name) != one.default}
