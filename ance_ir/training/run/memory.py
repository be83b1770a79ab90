"""The memory of a training step: predicted before the first one, and measured."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm.auto import tqdm

from ance_ir.brief import Brief
from ance_ir.processes import blocks_given_back, forget_peak, peak_memory, resident_memory
from ance_ir.training.batches import Batch, Batches
from ance_ir.training.negatives.named.random import RandomNegatives
from ance_ir.training.negatives.source import NegativeSource
from ance_ir.training.objectives.objective import Objective
from ance_ir.training.run.layers import layer_rates
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.rounding import update_weights
from ance_ir.training.run.settings import TrainingSettings
from ance_ir.training.run.step import take_step
from ance_ir.training.run.storages import weightless
from ance_ir.world import ALONE, RehearsedWorld

_GIB = 1 << 30
_GIVEN_BACK = 1 << 20
"""Blocks of so many bytes are returned to the system where memory is to be saved. With a smaller limit, steps take longer."""
_KEPT = 0.4
"""Of activations, what glibc keeps of freed memory and does not use again, where it is not told to give it back: measured, .2 to .6 with
2.36. PyTorch wants aligned blocks; with blocks as they come, by a replaced ``posix_memalign``, it was .1.
"""
_SECONDS = 5.0
"""Of the processor's time that a run gives to its prediction."""
_BATCHES = 2
"""Of a step with more, so many are rehearsed; with the second there are gradients already."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class TrainingMemory(Brief):
    """Bytes of one process on the device that trains, at the moment of a step when it takes most.

    Attributes:
        weights: of the model.
        gradients: that are there at that moment.
        optimiser: what it remembers of the weights.
        activations: everything else: what is kept for the gradients, and what is computed in between.
        kept: what was freed, and the C library does not use again.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    kept: int = 0

    @property
    def total(self) -> int:
        """All of it; the libraries, the data and, where this process mines, the search come on top."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.kept

    def in_gib(self) -> dict[str, float]:
        """The parts and the total."""
        return {name: round(value / _GIB, 3) for name, value in {**dataclasses.asdict(self), "total": self.total}.items()}


def predict_memory(
    objective: Objective[Any], batches: Sequence[Batch], settings: TrainingSettings, seconds: float = math.inf
) -> TrainingMemory:
    """Predict the most memory that a step takes: it is taken with weights that have no numbers, so that nothing is computed.

    The optimiser has its state already, as it does from the second step on. Of the teacher, if there is one, nothing is counted.

    What the C library keeps is not predicted here.

    Args:
        objective: the model, with what is frozen in it, and its loss.
        batches: of the step.
        settings: of the run.
        seconds: of the processor's time, after which it is given up.

    Raises:
        TimeoutError: it was.
    """
    model = objective.model
    world = ALONE if objective.world.size == 1 else RehearsedWorld(objective.world.size)
    try:
        with weightless(model, seconds) as storages:
            optimiser = make_optimiser(model, settings, layer_rates(model, settings.layer_decay))
            for weight in objective.trained.parameters():
                weight.grad = torch.empty_like(weight) if weight.requires_grad else None
            update_weights(optimiser, 0)
            for value in (value for state in optimiser.state.values() for value in state.values()):
                if isinstance(value, torch.Tensor):
                    storages.follow(value, "optimiser")
            optimiser.zero_grad(set_to_none=True)
            storages.reset()
            take_step(objective.rehearsed(world), batches[:_BATCHES], settings, optimiser, dropout=0, rounding=0)
            peak = storages.peak
    finally:
        model.eval()
    parts = {name: int(peak[name]) for name in ("weights", "gradients", "optimiser")}
    return TrainingMemory(**parts, activations=int(peak["other"]))


def saves_memory(objective: Objective[Any], settings: TrainingSettings) -> bool:
    """Whether memory is to be saved, even if that takes time."""
    chosen = settings.gradient_checkpointing or settings.weights != "float32"
    return chosen or bool(objective.manifest.get("grad_cache")) or bool(objective.manifest.get("lora"))


def lean(objective: Objective[Any], settings: TrainingSettings) -> contextlib.AbstractContextManager[None]:
    """Have freed memory returned to the system meanwhile, on a CPU where memory is to be saved."""
    applies = saves_memory(objective, settings) and objective.model.device.type == "cpu"
    return blocks_given_back(_GIVEN_BACK) if applies else contextlib.nullcontext()


def with_kept(found: TrainingMemory, objective: Objective[Any], settings: TrainingSettings) -> TrainingMemory:
    """A prediction with what the C library keeps, on a CPU where memory is not to be saved."""
    keeps = sys.platform == "linux" and objective.model.device.type == "cpu" and not saves_memory(objective, settings)
    return dataclasses.replace(found, kept=int(_KEPT * found.activations) if keeps else 0)


class MemoryWatch:
    """What a run's steps take, next to what was predicted.

    Args:
        objective: of the run.
        settings: of the run.
        optimiser: of the run.
    """

    def __init__(self, objective: Objective[Any], settings: TrainingSettings, optimiser: torch.optim.Optimizer) -> None:
        self._objective = objective
        self._settings = settings
        self._optimiser = optimiser
        self._device = objective.model.device
        self._before: float | None = None
        self._predicted: TrainingMemory | None = None
        self._used = 0.0

    def predict(self, source: NegativeSource) -> None:
        """Predict the memory of a step whose negatives are any of the corpus, as many as a source has, and say it.

        Args:
            source: of the first step's negatives.
        """
        try:
            settings = self._settings if source.draws else dataclasses.replace(self._settings, negatives=0)
            drawn = Batches(self._objective.queries, RandomNegatives(self._objective.queries), settings).of_step(0)
            batches = [dataclasses.replace(batch, in_batch=source.in_batch) for batch in drawn]
            found = predict_memory(self._objective, batches, self._settings, _SECONDS)
            self._predicted = with_kept(found, self._objective, self._settings)
        except Exception as error:  # a prediction is never worth a run
            tqdm.write(f"memory of a step: cannot be predicted ({(str(error) or type(error).__name__).splitlines()[0]})")
            return
        shown = ", ".join(f"{name} {value:.2f}" for name, value in self._predicted.in_gib().items())
        tqdm.write(f"memory of a step: {shown} GiB predicted")

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Measure a step."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            yield
            self._used = max(self._used, torch.cuda.max_memory_allocated(self._device))
            return
        if self._before is None:
            there = [value for state in self._optimiser.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
            weights = self._objective.model.parameters()
            self._before = resident_memory() * 2**20 - sum(tensor.nbytes for tensor in (*there, *weights))
        forgotten = forget_peak()
        yield
        if forgotten:  # else it may be of something before the step
            self._used = max(self._used, peak_memory() * 2**20 - self._before)

    def report(self) -> dict[str, Any]:
        """What was predicted and what was used, GiB, weights included; what is not known is left out."""
        found: dict[str, Any] = {} if self._predicted is None else {"predicted": self._predicted.in_gib()}
        if self._used > 0 and not math.isnan(self._used):
            found["used"] = round(self._used / _GIB, 3)
        if len(found) == 2:
            tqdm.write(f"memory of a step: {found['predicted']['total']:.2f} GiB predicted, {found['used']:.2f} used")
        return found
