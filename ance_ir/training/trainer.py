"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic

import numpy
import torch
import transformers
from tqdm.auto import tqdm

from ance_ir import __version__
from ance_ir.errors import TrainingError, UsageError
from ance_ir.models.randomness import seeded
from ance_ir.training.batches import Batches
from ance_ir.training.board import summary_writer
from ance_ir.training.negatives import NegativeSource
from ance_ir.training.objectives import Objective
from ance_ir.training.optimisation import checkpoint_gradients, gradient_norms, learning_rate, make_optimiser
from ance_ir.training.run import Model, TrainingRun
from ance_ir.training.settings import TrainingSettings

logger = logging.getLogger(__name__)


class Trainer(Generic[Model]):
    """Trains a model; a run that was broken off goes on where it stopped and ends the same.

    Args:
        objective: the model, which is trained in place, and its loss.
        negatives: where negatives come from.
        settings: of the run.
        folder: where the run is kept.
        dataset: the dataset's name and fingerprint, for the manifest.
        evaluate: called before each checkpoint is written, and at the end, with the number of steps done; what it returns joins that
            step's line in the log.
        verbose: show progress.
        tensorboard: write the log for TensorBoard as well.

    Raises:
        TrainingError: the folder holds another run.
        MissingDependencyError: tensorboard is wanted and not installed.
    """

    def __init__(
        self,
        objective: Objective[Model],
        negatives: NegativeSource[Model],
        settings: TrainingSettings,
        folder: Path | str,
        *,
        dataset: dict[str, str],
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
        verbose: bool = False,
        tensorboard: bool = False,
    ) -> None:
        if tensorboard:
            summary_writer()
        self.tensorboard = tensorboard
        self.objective = objective
        self.model = objective.model
        self.settings = settings
        self.negatives = negatives
        self.batches = Batches(objective.queries, negatives, settings)
        if settings.gradient_checkpointing:
            checkpoint_gradients(self.model)
        self.evaluate = evaluate
        self._check_negatives()
        self.verbose = verbose
        manifest = {
            "settings": asdict(settings),
            **objective.told,
            "negatives": {"name": negatives.name, **negatives.settings},
            "dataset": dataset,
            "environment": environment(),
        }
        self.run = TrainingRun(folder, manifest)

    def _check_negatives(self) -> None:
        """Refuse settings under which there would be nothing to learn from."""
        if not self.settings.negatives and self.negatives.in_batch == "none":
            raise UsageError(f"{self.negatives.name}: at least 1 negative is to be drawn for each query, not 0")
        if not self.settings.negatives and self.settings.batch_size == 1:
            raise UsageError(f"{self.negatives.name}: a batch of 1 query holds no negatives; a batch_size above 1 was expected")

    def train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None = None) -> Model:
        """Train to the end.

        Args:
            on_refresh: called after each refresh with the step and its report.

        Returns:
            The trained model, also saved in the run's folder.

        Raises:
            TrainingError: the loss is not a number, or a checkpoint cannot be read.
        """
        with self.run.locked():
            return self._train(on_refresh)

    def _train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None) -> Model:
        if self.run.finished:
            logger.info("%s has ended already", self.run.folder)
            self.run.load_trained(self.model)
            return self._named()
        optimiser = make_optimiser(self.model, self.settings)
        done = self.run.load(self.model, optimiser)
        if done:
            logger.info("going on after step %d of %s", done, self.run.folder)
        log = self.run.open_log(done, tensorboard=self.tensorboard)
        try:
            self._loop(done, optimiser, log.write, on_refresh)
        finally:
            log.close()
        self.model.save(self.run.model_folder)
        return self._named()

    def _named(self) -> Model:
        self.model.name = str(self.run.model_folder.resolve())
        return self.model

    def _loop(
        self,
        done: int,
        optimiser: torch.optim.Optimizer,
        log: Callable[[dict[str, Any]], None],
        on_refresh: Callable[[int, dict[str, Any]], object] | None,
    ) -> None:
        settings = self.settings
        every = settings.checkpoint_every or settings.refresh_every
        refreshed = done - done % settings.refresh_every
        if done != refreshed:
            self.negatives.restore(self.run.negatives_folder(refreshed), refreshed)
        with tqdm(
            total=settings.steps, initial=done, desc=f"training, {self.negatives.name}", unit=" steps", disable=not self.verbose
        ) as bar:
            for step in range(done, settings.steps):
                if step % settings.refresh_every == 0:
                    report = self.negatives.refresh(self.model, self.run.negatives_folder(step), step)
                    self._check_negatives()
                    if report and on_refresh is not None:
                        on_refresh(step, report)
                    refreshed = step
                line = self._step(step, optimiser)
                due = (step + 1) % every == 0 or step + 1 == settings.steps
                found = self.evaluate(step + 1) if due and self.evaluate is not None else {}
                log({**line, "staleness": step - refreshed, **found})
                bar.update()
                bar.set_postfix(loss=f"{line['loss']:.4f}", grad=f"{line['grad_norm']:.3f}", stale=step - refreshed)
                if due and step + 1 < settings.steps:
                    self.run.save(step + 1, self.model, optimiser, settings.keep_checkpoints)

    def _step(self, step: int, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """One optimiser step; what is logged of it."""
        began = time.perf_counter()
        settings = self.settings
        rate = learning_rate(step, settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        self.model.train(settings.dropout)
        batches = self.batches.of_step(step)
        total, tokens = 0.0, 0
        with contextlib.ExitStack() as stack:
            stack.enter_context(seeded(self.batches.dropout_seed(step), self.model.device))
            stack.enter_context(torch.autocast(self.model.device.type, torch.bfloat16, enabled=settings.bfloat16))
            for batch in batches:
                loss, read = self.objective.backward(batch, settings.temperature, 1 / len(batches))
                total += loss / len(batches)
                tokens += read
        self.model.eval()
        if not math.isfinite(total):
            raise self._diverged("loss", total, step)
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        layers = {part: round(value, 6) for part, value in gradient_norms(self.model).items()}
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, settings.clip))
        if not math.isfinite(norm):
            raise self._diverged("gradient's norm", norm, step)
        optimiser.step()
        seconds = time.perf_counter() - began
        line = {"step": step, "loss": total, "grad_norm": norm, "grad_norms": layers, "learning_rate": rate}
        return {**line, "tokens": tokens, "seconds": round(seconds, 4)}

    def _diverged(self, what: str, value: float, step: int) -> TrainingError:
        return TrainingError(
            f"the {what} is {value} at step {step}; the checkpoints in {self.run.folder / 'checkpoints'} are intact; "
            "a lower learning rate or a longer warm-up may help"
        )


def environment() -> dict[str, str]:
    """Versions of what computes."""
    versions = {"ance_ir": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return {**versions, "transformers": transformers.__version__, "numpy": numpy.__version__}
