"""What a run trains, and the loss that it minimises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

from torch import Tensor, nn

from ance_ir.training.batches import Batch
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run.folder import Model
from ance_ir.world import World


class Objective(Protocol[Model]):
    """The loss of a model on a batch.

    Attributes:
        model: trained in place.
        trained: the part of it that is trained: all of it, or one tower.
        queries: with their positives.
        manifest: its part of the run's manifest.
        world: the processes that a batch is dealt to.
        in_batch: whether the documents of a batch can be negatives of its queries; else only drawn ones are.
    """

    model: Model
    trained: nn.Module
    queries: TrainingQueries
    manifest: Mapping[str, Any]
    world: World
    in_batch: bool

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[Tensor, int]:
        """Add the gradients of a batch's loss to those of the model; of several processes each adds its part.

        Args:
            batch: what to compute it on.
            temperature: scores are divided by it.
            share: the gradients are multiplied by it.

        Returns:
            The loss of the whole batch, without gradient, on the model's device, and the number of tokens that this process read.
        """
        ...

    def rehearsed(self, world: World) -> Self:
        """The objective over the same model where nothing is computed: no teacher is asked, and no process waited for.

        Args:
            world: stands in for the processes.
        """
        ...
