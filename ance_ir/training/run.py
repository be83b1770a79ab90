"""A training run on disk: its manifest, its checkpoints, its log.

runs/x/run.json                     what the run was told; the sign that it began
runs/x/checkpoints/step-000100/     model, optimiser, state; the newest ones
runs/x/negatives/step-000100/       what was mined there
runs/x/metrics.jsonl                a line a step
runs/x/tensorboard/                 the same for TensorBoard, where that was asked for
runs/x/model/                       the trained model; the sign that it ended
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from ance_ir.errors import TrainingError
from ance_ir.files import TEMPORARY, atomic_folder, atomic_open, read_json, remove_leftovers, write_json
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.training.board import Board
from ance_ir.training.optimisation import load_optimiser, save_optimiser

Model = TypeVar("Model", bound=DenseEncoder | CrossEncoder)
"""What can be trained."""


class TrainingRun:
    """The folder of a run.

    Args:
        folder: created where it does not exist.
        manifest: what the run is told. A run that was told the same goes on; its ``environment`` may differ.

    Raises:
        TrainingError: the folder holds another run, or files of something else.
    """

    def __init__(self, folder: Path | str, manifest: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        path = self.folder / "run.json"
        told = json.loads(json.dumps(manifest))
        if path.exists():
            differences = _differences(_without_environment(_read(path)), _without_environment(told))
            if differences:
                raise TrainingError(f"{self.folder} holds a run that was told otherwise: {'; '.join(differences)}; choose another folder")
        else:
            strangers = [entry.name for entry in self.folder.iterdir() if TEMPORARY not in entry.name] if self.folder.is_dir() else []
            if strangers:
                raise TrainingError(
                    f"{self.folder} is no training run, but holds {', '.join(sorted(strangers)[:3])}; choose another folder"
                )
            write_json(path, told)
        for folder in (self.folder, self.folder / "checkpoints", *self.folder.glob("negatives/*")):
            remove_leftovers(folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone.

        Raises:
            TrainingError: another process has it.
        """
        with (self.folder / "run.lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(f"{self.folder}: another process is training there; wait for it, or choose another folder") from None
            yield

    @property
    def model_folder(self) -> Path:
        """Where the trained model lies once the run has ended."""
        return self.folder / "model"

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.model_folder.exists()

    def negatives_folder(self, step: int) -> Path:
        """Where what was mined at a step is kept."""
        return self.folder / "negatives" / f"step-{step:06d}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Step and folder of the complete checkpoints, oldest first."""
        found = sorted((self.folder / "checkpoints").glob("step-*"))
        return [(int(path.name.removeprefix("step-")), path) for path in found if TEMPORARY not in path.name]

    def save(self, step: int, model: DenseEncoder | CrossEncoder, optimiser: torch.optim.Optimizer, keep: int) -> None:
        """Write the checkpoint after ``step`` steps, whole or not at all, and remove all but the last ``keep``."""
        with atomic_folder(self.folder / "checkpoints" / f"step-{step:06d}", "optimiser.safetensors") as folder:
            model.save(folder / "model")
            save_optimiser(optimiser, folder / "optimiser.safetensors")
        for _, old in self.checkpoints()[:-keep]:
            shutil.rmtree(old)

    def load(self, model: DenseEncoder | CrossEncoder, optimiser: torch.optim.Optimizer) -> int:
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
        _load_weights(model, folder / "model")
        load_optimiser(optimiser, folder / "optimiser.safetensors")
        return step

    def load_trained(self, model: DenseEncoder | CrossEncoder) -> None:
        """Give the model the weights that the ended run left."""
        _load_weights(model, self.model_folder)

    def open_log(self, step: int, *, tensorboard: bool = False) -> MetricsLog:
        """The log, cut back to the steps before ``step``; on request what is written to it goes to TensorBoard's folder too."""
        return MetricsLog(self.folder / "metrics.jsonl", step, self.folder / "tensorboard" if tensorboard else None)


class MetricsLog:
    """Appends a JSON line a step, and writes it to a board, if there is to be one."""

    def __init__(self, path: Path, step: int, board: Path | None = None) -> None:
        kept = [line for line in read_metrics(path) if line["step"] < step] if path.exists() else []
        with atomic_open(path) as stream:
            stream.writelines(json.dumps(line) + "\n" for line in kept)
        self._board = Board(board, step, kept) if board is not None else None
        self._stream = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line; it is in the file when this returns."""
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        if self._board is not None:
            self._board.write(line)

    def close(self) -> None:
        """Close the files."""
        self._stream.close()
        if self._board is not None:
            self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a crash cut off is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def _load_weights(model: DenseEncoder | CrossEncoder, folder: Path) -> None:
    model.load_state_dict(type(model).from_pretrained(folder, device="cpu").state_dict())


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise TrainingError(f"{path}: expected JSON, {error}") from error
    return manifest


def _without_environment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key != "environment"}


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings that differ, in words."""
    found = []
    for key in sorted({*there, *now}):
        before, after = there.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} was {before!r}, is {after!r}")
    return found
