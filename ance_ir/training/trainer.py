"""The training loop."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import torch
import transformers
from tqdm.auto import tqdm

from ance_ir import __version__
from ance_ir.datasets import DocumentStore
from ance_ir.errors import TrainingError
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.training.batches import Batches, score
from ance_ir.training.losses import pairwise_nll
from ance_ir.training.negatives import NegativeSource
from ance_ir.training.optimisation import adamw, learning_rate
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run import TrainingRun
from ance_ir.training.settings import TrainingSettings

logger = logging.getLogger(__name__)


class Trainer:
    """Trains an encoder; a run that was broken off goes on where it stopped and ends the same.

    Args:
        model: trained in place.
        queries: with their positives.
        store: the documents' texts.
        passages: how a document is cut for training; it scores as its best passage.
        negatives: where negatives come from.
        settings: of the run.
        folder: where the run is kept.
        dataset: the dataset's name and fingerprint, for the manifest.
        verbose: show progress.

    Raises:
        TrainingError: the folder holds another run.
    """

    def __init__(
        self,
        model: DenseEncoder,
        queries: TrainingQueries,
        store: DocumentStore,
        passages: PassageScheme,
        negatives: NegativeSource,
        settings: TrainingSettings,
        folder: Path | str,
        *,
        dataset: dict[str, str],
        verbose: bool = False,
    ) -> None:
        model.tokenizer.cut([""], passages)  # a scheme that the model cannot take shows before the folder is claimed
        self.model = model.float()  # in half precision small updates would vanish
        self.queries = queries
        self.store = store
        self.passages = passages
        self.settings = settings
        self.negatives = negatives
        self.batches = Batches(queries, negatives, settings)
        self.verbose = verbose
        manifest = {
            "settings": asdict(settings),
            "model": {"name": model.name, "fingerprint": model.fingerprint(), "text": asdict(model.text)},
            "passages": str(passages),
            "negatives": {"name": negatives.name, **negatives.settings},
            "dataset": dataset,
            "environment": environment(),
        }
        self.run = TrainingRun(folder, manifest)

    def train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None = None) -> DenseEncoder:
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

    def _train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None) -> DenseEncoder:
        if self.run.finished:
            logger.info("%s has ended already", self.run.folder)
            return DenseEncoder.from_pretrained(self.run.model_folder, device=self.model.device)
        optimiser = adamw(self.model, self.settings)
        done = self.run.load(self.model, optimiser)
        if done:
            logger.info("going on after step %d of %s", done, self.run.folder)
        log = self.run.open_log(done)
        try:
            self._loop(done, optimiser, log.write, on_refresh)
        finally:
            log.close()
        self.model.save(self.run.model_folder)
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
            self.negatives.restore(self.run.negatives_folder(refreshed))
        with tqdm(
            total=settings.steps, initial=done, desc=f"training, {self.negatives.name}", unit=" steps", disable=not self.verbose
        ) as bar:
            for step in range(done, settings.steps):
                if step % settings.refresh_every == 0:
                    report = self.negatives.refresh(self.model, self.run.negatives_folder(step))
                    if report and on_refresh is not None:
                        on_refresh(step, report)
                    refreshed = step
                line = self._step(step, optimiser)
                log({**line, "staleness": step - refreshed})
                bar.update()
                bar.set_postfix(loss=f"{line['loss']:.4f}", grad=f"{line['grad_norm']:.3f}", stale=step - refreshed)
                if (step + 1) % every == 0 and step + 1 < settings.steps:
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
        with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
            torch.manual_seed(self.batches.dropout_seed(step))
            for batch in batches:
                positive_B, negative_BN, encoded = score(self.model, batch, self.queries, self.store, self.passages)
                loss = pairwise_nll(positive_B / settings.temperature, negative_BN / settings.temperature) / len(batches)
                loss.backward()
                total += float(loss.detach())
                tokens += encoded
        self.model.eval()
        if not math.isfinite(total):
            raise self._diverged("loss", total, step)
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, settings.clip))
        if not math.isfinite(norm):
            raise self._diverged("gradient's norm", norm, step)
        optimiser.step()
        seconds = time.perf_counter() - began
        return {"step": step, "loss": total, "grad_norm": norm, "learning_rate": rate, "tokens": tokens, "seconds": round(seconds, 4)}

    def _diverged(self, what: str, value: float, step: int) -> TrainingError:
        return TrainingError(
            f"the {what} is {value} at step {step}; the checkpoints in {self.run.folder / 'checkpoints'} are intact; "
            "a lower learning rate or a longer warm-up may help"
        )


def environment() -> dict[str, str]:
    """Versions of what computes."""
    versions = {"ance_ir": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return {**versions, "transformers": transformers.__version__, "numpy": numpy.__version__}
