"""A training run on disk: its manifest, its checkpoints, its log.

runs/x/run.json                     the run's settings, see ``manifest``; the sign that it began
runs/x/checkpoints/step-000100/     model and optimiser after so many steps; the newest ones, and the best
runs/x/negatives/step-000100/       what was mined with that model
runs/x/negatives/last/              the dev measures of the last model
runs/x/negatives/task.json          which checkpoint inferencers mine with
runs/x/switches.json                from which step on which negatives were used
runs/x/metrics.jsonl                a line a step
runs/x/progress.json                a heartbeat for inferencers
runs/x/tensorboard/, wandb/         what boards keep there, if any were requested
runs/x/adapter/                     the trained adapter alone, of a run that trained one
runs/x/model/                       the trained model; the sign that it ended
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import torch

from ance_ir.errors import AnceError, TrainingError
from ance_ir.files import TEMPORARY, as_path, atomic_folder, remove_folder, remove_leftovers, write_json
from ance_ir.locks import held_lock
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.run.manifest import add_to_manifest, explained, read_manifest, write_or_compare_manifest
from ance_ir.training.run.metrics import MetricsLog
from ance_ir.training.run.optimisation import load_optimiser, save_optimiser
from ance_ir.typed_json import read_typed

Trainable = DenseEncoder | CrossEncoder | Reader
"""What can be trained."""

Model = TypeVar("Model", bound=Trainable)

_STEP = re.compile(r"step-[0-9]{1,18}")

_BEAT = 5.0
"""Seconds between two heartbeats."""


class _Task(TypedDict):
    step: int


class _Progress(TypedDict):
    state: str
    step: int
    at: float


class TrainingRun:
    """The folder of a run.

    What a step trains on, its learning rate and its dropout are functions of the step and the seed, so a checkpoint needs no more than the
    model and the optimiser; ``switches.json`` says which negatives were in use.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder)

    def __repr__(self) -> str:
        if not self._manifest.exists():
            return f"TrainingRun({str(self.folder)!r}, not begun)"
        state = "ended" if self.finished else f"{len(self.checkpoints())} checkpoints"
        return f"TrainingRun({str(self.folder)!r}, {state})"

    @property
    def _manifest(self) -> Path:
        return self.folder / "run.json"

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Begin a run, or resume one with the same settings; its ``environment`` may differ.

        Args:
            settings: of the run, for its manifest.

        Raises:
            TrainingError: the folder holds another run, or files of something else.
        """
        if self.folder.is_file():
            raise TrainingError(f"{self.folder} is a file; a folder was expected, which need not exist")
        if not self._manifest.exists() and self.folder.is_dir():
            strangers = sorted(entry.name for entry in self.folder.iterdir() if TEMPORARY not in entry.name)
            if strangers:
                raise TrainingError(f"{self.folder} is no training run, but holds {', '.join(strangers[:3])}; choose another folder")
        write_or_compare_manifest(self._manifest, settings)
        for folder in (self.folder, self.folder / "checkpoints", self.folder / "negatives", *self.folder.glob("negatives/*")):
            remove_leftovers(folder)

    @property
    def manifest(self) -> dict[str, Any]:
        """The run's settings, and what was noted about it.

        Raises:
            TrainingError: there is no run.
        """
        if not self._manifest.exists():
            raise TrainingError(f"{self.folder} holds no training run: there is no run.json in it")
        return read_manifest(self._manifest)

    def note(self, notices: Iterable[str]) -> None:
        """Add to the manifest what was left out, cut, assumed or replaced; each notice once, however often the run is resumed.

        Raises:
            TrainingError: it cannot be written.
        """
        before = self.manifest.get("notices", [])
        now = list(dict.fromkeys([*before, *notices]))
        if now != before:
            add_to_manifest(self._manifest, notices=now)

    def record(self, **noted: Any) -> None:
        """Add to the manifest what the run found: which model it ``saved``, the ``memory`` of a step.

        Raises:
            TrainingError: it cannot be written.
        """
        add_to_manifest(self._manifest, **noted)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone.

        Raises:
            TrainingError: another process has it.
        """
        with held_lock(self.folder / "run.lock") as ours:
            if not ours:
                raise TrainingError(f"{self.folder}: another process is training there; wait for it, or choose another folder")
            yield

    @property
    def model_folder(self) -> Path:
        """Where the trained model lies once the run has ended."""
        return self.folder / "model"

    @property
    def adapter_folder(self) -> Path:
        """Where the trained adapter lies, of a run that trained one."""
        return self.folder / "adapter"

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.model_folder.exists()

    def checkpoint_folder(self, step: int) -> Path:
        """Where the checkpoint after so many steps is kept."""
        return self.folder / "checkpoints" / f"step-{step:06d}"

    def negatives_folder(self, step: int) -> Path:
        """Where what was mined at a step is kept."""
        return self.folder / "negatives" / f"step-{step:06d}"

    def published(self) -> list[int]:
        """The steps of the models whose negatives are published, ascending; files that were removed since count too."""
        return sorted(_step(path.parent) for path in self.folder.glob("negatives/step-*/report.json") if _STEP.fullmatch(path.parent.name))

    def remove_unfinished(self) -> None:
        """Remove what inferencers began and will not publish."""
        for folder in self.folder.glob("negatives/step-*"):
            if not MinedNegatives.published(folder):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def task(self) -> int | None:
        """The checkpoint that inferencers are to mine with."""
        try:
            step: int = read_typed(self.folder / "negatives" / "task.json", _Task, error=TrainingError, remedy="remove it")["step"]
        except FileNotFoundError:
            return None
        return step

    def set_task(self, step: int) -> None:
        """Tell inferencers which checkpoint to mine with."""
        write_json(self.folder / "negatives" / "task.json", {"step": step})

    def beat(self, step: int, state: str) -> None:
        """Write a heartbeat, at most one every few seconds unless the state changes."""
        now = time.monotonic()
        if state != self._beaten[0] or now - self._beaten[1] > _BEAT:
            self._beaten = state, now
            write_json(self.folder / "progress.json", {"state": state, "step": step, "at": time.time()})

    _beaten = ("", 0.0)

    def progress(self) -> dict[str, Any]:
        """The last heartbeat; empty before the first."""
        try:
            progress: dict[str, Any] = read_typed(self.folder / "progress.json", _Progress, error=TrainingError, remedy="remove it")
        except FileNotFoundError:
            return {}
        return progress

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Step and folder of the complete checkpoints, oldest first."""
        found = [path for path in (self.folder / "checkpoints").glob("step-*") if _STEP.fullmatch(path.name)]
        return sorted((_step(path), path) for path in found)

    def save(self, step: int, model: Trainable, optimiser: torch.optim.Optimizer) -> None:
        """Write the checkpoint after ``step`` steps, whole or not at all.

        Raises:
            TrainingError: it cannot be written.
        """
        target = self.checkpoint_folder(step)
        with explained(target), atomic_folder(target, "optimiser.safetensors") as folder:
            if model.origin.adapter:
                model.save_adapter(folder / "model")
            else:
                model.save(folder / "model")
            save_optimiser(optimiser, folder / "optimiser.safetensors")

    def save_trained(self, model: Trainable) -> None:
        """Write the model of the ended run; an adapter is added to the weights, and written alone as well.

        Raises:
            TrainingError: it cannot be written.
        """
        with explained(self.model_folder):
            if model.origin.adapter:
                model.save_adapter(self.adapter_folder)
            model.save(self.model_folder)

    def prune(self, keep: int, also: Collection[int | None], oldest_needed: Callable[[int], int]) -> None:
        """Remove what no resumed run needs.

        Args:
            keep: so many of the newest checkpoints stay.
            also: steps of others that stay.
            oldest_needed: of a checkpoint, the oldest negatives that it needs.
        """
        checkpoints = self.checkpoints()
        for step, old in checkpoints[:-keep]:
            if step not in also:
                remove_folder(old)
        oldest = oldest_needed(checkpoints[-keep:][0][0])
        for step in self.published():
            if step < oldest:
                MinedNegatives.remove(self.negatives_folder(step))

    def load(self, model: Trainable, optimiser: torch.optim.Optimizer) -> int:
        """Restore the newest checkpoint, if there is one.

        Returns:
            The number of steps that were done.

        Raises:
            TrainingError: it cannot be read.
        """
        checkpoints = self.checkpoints()
        if not checkpoints:
            return 0
        step, folder = checkpoints[-1]
        self.load_checkpoint(step, model)
        load_optimiser(optimiser, folder / "optimiser.safetensors")
        return step

    def load_checkpoint(self, step: int, model: Trainable) -> None:
        """Give the model the weights that it had after so many steps.

        Raises:
            TrainingError: they cannot be read.
        """
        folder = self.checkpoint_folder(step)
        try:
            _load_weights(model, folder / "model")
        except AnceError as error:
            raise TrainingError(f"{folder} cannot be read ({error}); delete it to resume from the one before") from error

    def load_trained(self, model: Trainable) -> None:
        """Give the model the weights that the ended run left."""
        _load_weights(model, self.adapter_folder if model.origin.adapter else self.model_folder)

    def open_log(self, step: int, report_to: Sequence[str] = ()) -> MetricsLog:
        """The log, cut back to the steps before ``step``; what is written to it goes to these boards too."""
        return MetricsLog(self.folder / "metrics.jsonl", step, report_to)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _load_weights(model: Trainable, folder: Path) -> None:
    if model.origin.adapter:
        model.load_adapter(folder)
        return
    model.load_state_dict(type(model).from_pretrained(folder, device="cpu").state_dict())
