"""Training runs as they lie on disk, whether they have ended, were broken off or go on at this moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from ance_ir.errors import TrainingError
from ance_ir.training import read_metrics
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

_MANIFEST = "run.json"
_LOG = "metrics.jsonl"


class _Settings(TypedDict):
    steps: int


class _Manifest(TypedDict):
    settings: _Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class LoggedRun:
    """What a run's folder says at one moment.

    Attributes:
        name: the end of its path, long enough to tell it from the others that were read with it.
        folder: where it lies.
        manifest: what it was told.
        ended: whether the trained model is there.
        lines: of its log, a step each.
        age: seconds since its log was written to; ``None`` where there is no log.
    """

    name: str
    folder: Path
    manifest: dict[str, Any]
    ended: bool
    lines: Sequence[dict[str, Any]]
    age: float | None

    @property
    def told(self) -> dict[str, Any]:
        """What it was told: its manifest without what was added since."""
        return {name: value for name, value in self.manifest.items() if name not in ("notices", "saved")}

    @property
    def notices(self) -> list[str]:
        """What was left out, cut, assumed or replaced, in words."""
        return list(self.manifest.get("notices", ()))

    @property
    def steps(self) -> int:
        """How many steps it is to take."""
        return int(self.manifest["settings"]["steps"])

    @property
    def done(self) -> int:
        """How many steps its log knows of."""
        return int(self.lines[-1]["step"]) + 1 if self.lines else 0

    @property
    def refreshes(self) -> list[dict[str, Any]]:
        """The reports of new negatives, each with the ``step`` at which they were first used."""
        return [{"step": line["step"], **line["refresh"]} for line in self.lines if "refresh" in line]

    @property
    def dev(self) -> list[dict[str, Any]]:
        """Dev evaluations: the measures, and in ``step`` how many steps the model had been trained."""
        return [line["dev"] for line in self.lines if "dev" in line]

    def values(self, name: str) -> pd.Series[float]:
        """A number that lines hold, by step; empty where none has it."""
        found = {int(line["step"]): float(line[name]) for line in self.lines if isinstance(line.get(name), int | float)}
        return pd.Series(found, dtype=float)


def read_training_runs(folders: Iterable[Path | str]) -> list[LoggedRun]:
    """Read runs, also while they are written.

    Args:
        folders: each a run's, or one directly beneath which runs lie.

    Returns:
        The runs in the order given, those of one folder by name, each once.

    Raises:
        TrainingError: a folder that is not there, or is no run's and holds none, or is a run's and damaged; of damaged runs beneath a
            folder the log tells.
    """
    found: dict[Path, Path] = {}
    named: set[Path] = set()
    for folder in map(Path, folders):
        for run in _runs(folder):
            found.setdefault(run.resolve(), run)
            named |= {run.resolve()} if run == folder else set()
    read = []
    for (place, run), name in zip(found.items(), _names(list(found)), strict=True):
        try:
            read.append(_read(run, name))
        except TrainingError as error:
            if place in named:
                raise
            logger.warning("%s; this run is left out", error)
    return read


def _runs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise TrainingError(f"{folder}: the folder of a training run was expected, there is {'a file' if folder.exists() else 'nothing'}")
    if (folder / _MANIFEST).exists():
        return [folder]
    beneath = sorted(path.parent for path in folder.glob(f"*/{_MANIFEST}"))
    if not beneath:
        entries = sorted(entry.name for entry in folder.iterdir())
        holds = ", ".join(entries[:3]) + (", …" if len(entries) > 3 else "") if entries else "nothing"
        raise TrainingError(
            f"{folder} is no training run, nor are there any directly beneath it: a {_MANIFEST} was expected, the folder holds {holds}"
        )
    return beneath


def _names(folders: Sequence[Path]) -> list[str]:
    """Of each path the shortest end that no other has."""

    def end(folder: Path, parts: int) -> tuple[str, ...]:
        return folder.parts[-parts:]

    names = []
    for folder in folders:
        parts = 1
        while parts < len(folder.parts) and sum(end(other, parts) == end(folder, parts) for other in folders) > 1:
            parts += 1
        names.append(str(Path(*end(folder, parts))))
    return names


def _read(folder: Path, name: str) -> LoggedRun:
    manifest = read_typed(folder / _MANIFEST, _Manifest, error=TrainingError, remedy="it is no training run's, or damaged")
    ended = (folder / "model").exists()  # looked at first: what has ended is logged to the end
    log = folder / _LOG
    age = max(0.0, time.time() - log.stat().st_mtime) if log.exists() else None
    return LoggedRun(name=name, folder=folder, manifest=manifest, ended=ended, lines=read_metrics(log), age=age)
