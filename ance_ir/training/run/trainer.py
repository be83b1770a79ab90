"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic

import torch
from tqdm.auto import tqdm

from ance_ir.errors import TrainingError
from ance_ir.models.loading.provenance import Training
from ance_ir.notices import collected
from ance_ir.registries import BOARDS
from ance_ir.training.batches import Batches
from ance_ir.training.negatives.source import NegativeSchedule
from ance_ir.training.objectives.objective import Objective
from ance_ir.training.refresh.miner import Miner
from ance_ir.training.refresh.processes import Inferencers
from ance_ir.training.refresh.refresher import AsynchronousRefresher, Refresher
from ance_ir.training.run.checks import check_run, report_on_run, warn_of_settings
from ance_ir.training.run.folder import Model, TrainingRun
from ance_ir.training.run.layers import frozen, layer_rates
from ance_ir.training.run.manifest import environment
from ance_ir.training.run.memory import MemoryWatch, lean
from ance_ir.training.run.metrics import Best, read_metrics
from ance_ir.training.run.optimisation import checkpoint_gradients, learning_rate, make_optimiser, set_learning_rate
from ance_ir.training.run.rounding import round_weights
from ance_ir.training.run.settings import TrainingSettings
from ance_ir.training.run.step import Diverged, take_step

logger = logging.getLogger(__name__)


class Trainer(Generic[Model]):
    """Trains a model; an interrupted run is resumed where it stopped and ends with the same result.

    Each of several processes (``objective.world``) has a trainer; the leading one writes and prints.

    Args:
        objective: the model, which is trained in place, and its loss.
        negatives: where negatives come from.
        settings: of the run.
        folder: where the run is kept.
        dataset: the dataset's name and fingerprint, for the manifest.
        place: where things are found, for inferencers; they may be elsewhere when the run is resumed.
        miner: mines negatives, and evaluates; needed where they are mined.
        inferencers: mine meanwhile, with checkpoints; ``None``: the trainer mines, and training waits.
        evaluate: called before each checkpoint is written, and at the end, with the number of steps done; what it returns joins that
            step's line in the log.
        notices: what was warned of before; read again at the end, so that it may grow. It goes into the manifest, with what was warned
            of while the model was opened, and what training itself warns of.
        verbose: show progress, and the memory of a step, as predicted before the first and as used; the prediction may take seconds.
        report_to: where the log is written as well, names of ``BOARDS``: ``tensorboard``, ``wandb``, ``mlflow``.

    Raises:
        TrainingError: the folder holds another run, or the model's weights are not finite.
        UsageError: settings under which there would be nothing to learn from.
        MissingDependencyError: what the log is to be written with is not installed.
    """

    def __init__(
        self,
        objective: Objective[Model],
        negatives: NegativeSchedule,
        settings: TrainingSettings,
        folder: Path | str,
        *,
        dataset: Mapping[str, Any],
        place: Mapping[str, Any] | None = None,
        miner: Miner[Model] | None = None,
        inferencers: Inferencers | None = None,
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
        notices: Sequence[str] = (),
        verbose: bool = False,
        report_to: Sequence[str] = (),
    ) -> None:
        for name in report_to if objective.world.leads else ():
            BOARDS.find(name).check()
        self.report_to = report_to
        self.objective = objective
        self.model = objective.model
        self.world = objective.world
        self.settings = settings
        self.negatives = negatives
        self.batches = Batches(objective.queries, negatives, settings)
        check_run(objective, negatives, settings, mines=miner is not None)
        self.notices = notices
        if settings.gradient_checkpointing:
            checkpoint_gradients(self.model)
        if settings.weights == "bfloat16":
            round_weights(self.model)
        self.evaluate = evaluate
        self.verbose = verbose and self.world.leads
        if miner is not None and inferencers is not None:
            self.refresher: Refresher = AsynchronousRefresher(self.batches, miner, self.world, inferencers)
        else:
            self.refresher = Refresher(self.batches, miner, self.world)
        self.run = TrainingRun(folder)
        manifest = {
            "settings": settings.manifest,
            **objective.manifest,
            "negatives": {"name": negatives.name, **negatives.settings},
            "refresh": self.refresher.settings,
            "dataset": dataset,
            "environment": {**environment(), "place": place, "processes": self.refresher.processes},
        }
        if self.world.leads:
            self.run.claim(manifest)
            with collected() as found:
                every = settings.refresh_every if inferencers is None else settings.checkpoint_every or settings.refresh_every
                mining = {"every": None, "evaluates": False} if miner is None else {"every": every, "evaluates": miner.evaluates}
                warn_of_settings(objective, negatives, settings, **mining)
            self.run.note([*self.model.origin.notices, *notices, *found])

    def __repr__(self) -> str:
        return f"Trainer({self.model.name!r}, {self.negatives.name} negatives, {str(self.run.folder)!r})"

    def train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None = None) -> Model:
        """Train to the end.

        Args:
            on_refresh: called after each refresh with the step and its report, and with the evaluation of the last model.

        Returns:
            The model that the run leaves (``settings.select``), also saved in its folder.

        Raises:
            TrainingError: the loss is not a number, or a checkpoint cannot be read.
        """
        with self.run.locked() if self.world.leads else contextlib.nullcontext():
            self.world.wait()
            with collected() as found, frozen(self.model, self.settings.freeze), lean(self.objective, self.settings):
                try:
                    self._train(on_refresh if self.world.leads else None, found)
                finally:
                    if self.world.leads:
                        self._note(found)
            self.world.wait()
        self.model.name = str(self.run.model_folder.resolve())
        return self.model

    def _note(self, found: Sequence[str]) -> None:
        try:
            self.run.note([*self.notices, *found])
        except TrainingError as error:  # such as a full disk; the error that ended the training is more important
            logger.warning("%s", error)

    def _train(self, on_refresh: Callable[[int, dict[str, Any]], object] | None, found: Sequence[str]) -> None:
        if self.run.finished:
            logger.info("%s has ended already", self.run.folder)
            self.run.load_trained(self.model)
            self._describe_model(self.run.manifest.get("saved", {}).get("step", self.settings.steps))
            if self.report_to and self.world.leads:
                self.run.open_log(self.settings.steps + 1, self.report_to).close()
            return
        optimiser = make_optimiser(self.model, self.settings, layer_rates(self.model, self.settings.layer_decay))
        begun = self.run.load(self.model, optimiser)
        if begun:
            logger.info("resuming after step %d of %s", begun, self.run.folder)
        logged = read_metrics(self.run.folder / "metrics.jsonl")
        best, reached = Best(line for line in logged if line["step"] < begun), max((line["step"] for line in logged), default=-1)
        self.world.wait()
        with contextlib.ExitStack() as stack:
            if self.world.leads and self.refresher.needs_first_checkpoint and not self.run.checkpoints():
                self._save(0, optimiser)
            state = "failed"
            stack.callback(lambda: self.refresher.stop(state))
            self.refresher.start(self.run, begun, reached)  # which settles the logged steps, before the log is cut back
            log = None
            if self.world.leads:
                log = stack.enter_context(contextlib.closing(self.run.open_log(begun, self.report_to)))
            watch = MemoryWatch(self.objective, self.settings, optimiser)
            for done, line in self._lines(begun, optimiser, on_refresh, best, watch):
                if log is not None:
                    log.write(line)
                if self._due(done) and done < self.settings.steps and self.world.leads:
                    self._save(done, optimiser)
                    kept = {best.step, self.run.task, *self.run.published()[-1:]}
                    self.run.prune(self.settings.keep_checkpoints, kept, self.refresher.oldest_needed)
            saved = self._choose(done, best)
            if self.world.leads:
                if memory := watch.report():
                    self.run.record(memory=memory)
                report_on_run(self.run, self.settings, done, saved, best)
                self._note(found)
                self._describe_model(saved)
                self.run.save_trained(self.model)
            state = "ended"

    @property
    def measures_last(self) -> bool:
        """Whether the last model is evaluated too, for which its corpus is encoded once more."""
        return self.settings.select == "best" and self.refresher.evaluates

    def _choose(self, done: int, best: Best) -> int:
        """Give the model the weights that the run leaves; returns after how many steps they were so."""
        saved = done if self.settings.select == "last" or best.step is None else best.step
        if saved != done and self.world.leads and not self.run.checkpoint_folder(saved).exists():
            logger.warning("%s: the best model, after step %d, is gone; the last one is saved", self.run.folder, saved)
            saved = done
        if (saved := self.world.broadcast(saved)) != done:
            self.run.load_checkpoint(saved, self.model)
        return saved

    def _save(self, done: int, optimiser: torch.optim.Optimizer) -> None:
        """Write a checkpoint unless it is there; its card says how it was trained so far, and not how the first model of the run was."""
        if self.run.checkpoint_folder(done).exists():
            return
        if done:
            self._describe_model(done)
        self.run.save(done, self.model, optimiser)

    def _describe_model(self, done: int) -> None:
        """Let the model's card say how it was trained in so many steps."""
        self.model.was_trained(Training.of_run(self.run.manifest, read_metrics(self.run.folder / "metrics.jsonl"), steps=done))

    def _due(self, done: int) -> bool:
        """Whether a checkpoint follows after so many steps."""
        return done % (self.settings.checkpoint_every or self.settings.refresh_every) == 0 or done == self.settings.steps

    def _gives_up(self, best: Best) -> bool:
        """Whether the run ends before its last step, because nothing was gained for so long; the leading process decides."""
        patience = self.settings.stop_after
        return patience is not None and bool(self.world.broadcast(int(best.without_gain >= patience)))

    def _lines(
        self,
        done: int,
        optimiser: torch.optim.Optimizer,
        on_refresh: Callable[[int, dict[str, Any]], object] | None,
        best: Best,
        watch: MemoryWatch,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """After each step that is left, how many are done, and what is logged; what is evaluated after the last has a line of its own."""
        settings, refresher = self.settings, self.refresher
        pairs = settings.batch_size * settings.accumulation
        with tqdm(
            total=settings.steps, initial=done, desc=f"training, {self.negatives.name}", unit=" steps", disable=not self.verbose
        ) as bar:
            for step in range(done, settings.steps):
                report = refresher.prepare(step, self.model)
                if report and on_refresh is not None:
                    on_refresh(step, {"staleness": step - report["mined_at"], **report})
                dev = {"dev": {"step": report["mined_at"], **report.pop("dev")}} if "dev" in report else {}
                if dev:
                    best.take(dev)
                    if best.step == step and self.world.leads:
                        self._save(step, optimiser)
                    if self._gives_up(best):
                        yield step, {"step": step, **dev}
                        return
                if step == done and self.verbose:
                    watch.predict(self.negatives.at(step))
                with watch.step():
                    line: dict[str, Any] = {**self._step(step, optimiser), "pairs": pairs, **dev}
                if refresher.mined_at is not None and self.negatives.at(step).mines:
                    line["staleness"] = step - refresher.mined_at
                if report:
                    line["refresh"] = report
                if self.evaluate is not None and self._due(step + 1) and self.world.leads:
                    line["dev"] = {"step": step + 1, **self.evaluate(step + 1)}
                best.take(line)
                bar.update()
                shown = {"loss": f"{line['loss']:.4f}", "grad": f"{line['grad_norm']:.3f}", "pairs/s": f"{pairs / line['seconds']:.1f}"}
                bar.set_postfix(shown | ({"stale": line["staleness"]} if "staleness" in line else {}))
                yield step + 1, line
                if self._due(step + 1) and self._gives_up(best):
                    return
        if self.measures_last and (measures := refresher.measure(self.model)):
            dev = {"dev": {"step": settings.steps, **measures}}
            best.take(dev)
            if on_refresh is not None:
                on_refresh(settings.steps, {"dev": measures})
            yield settings.steps, {"step": settings.steps, **dev}

    def _step(self, step: int, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """One optimiser step; what is logged of it."""
        began = time.perf_counter()
        rate = learning_rate(step, self.settings)
        set_learning_rate(optimiser, rate)
        batches = self.batches.of_step(step)
        seeds = {"dropout": self.batches.dropout_seed(step, self.world.rank), "rounding": self.batches.rounding_seed(step)}
        try:
            done = take_step(self.objective, batches, self.settings, optimiser, **seeds)
        except Diverged as error:
            raise TrainingError(
                f"the {error.what} is {error.value} at step {step}; the checkpoints in {self.run.folder / 'checkpoints'} are intact; "
                "a lower learning rate, or a longer warm-up of it, may help"
            ) from error
        seconds = time.perf_counter() - began
        layers = {part: round(value, 6) for part, value in done.norms.items()}
        line = {"step": step, "loss": done.loss, "grad_norm": done.norm, "grad_norms": layers, "learning_rate": rate}
        if all(batch.without_negatives(self.objective.queries) for batch in batches):
            line["without_negatives"] = True
        return {**line, "tokens": self.world.sum(done.tokens), "seconds": round(seconds, 4)}
