"""Training runs on disk, whether they have ended, were interrupted or are in progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from ance_ir.errors import TrainingError
from ance_ir.eval.tables import NOTHING, table_of
from ance_ir.moved import warn_of_old_name
from ance_ir.training import read_metrics
from ance_ir.training.run.manifest import NOTED
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
    """A run's folder as it was when it was read.

    Attributes:
        name: the end of its path, long enough to tell it from the others that were read with it.
        folder: where it lies.
        manifest: its settings, and what was noted about it.
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

    def __repr__(self) -> str:
        return f"LoggedRun({self.name!r}, {self.negatives} negatives, {self.state})"

    def _repr_html_(self) -> str:
        dev = {f"dev {name}": f"{value:.4f}" for name, value in (self.dev[-1] if self.dev else {}).items() if name != "step"}
        return table_of([{"run": self.name, "negatives": self.negatives, "state": self.state, **dev}], left=3).to_html()

    @property
    def negatives(self) -> str:
        """The name of its negatives."""
        found = self.manifest.get("negatives")
        return str(found.get("name", NOTHING)) if isinstance(found, Mapping) else NOTHING

    @property
    def state(self) -> str:
        """How far it was, and how long ago."""
        if self.ended:
            early = f" of {self.steps:,}" if 0 < self.done < self.steps else ""
            return f"ended, {self.done or self.steps:,}{early} steps"
        if not self.lines:
            return f"no step yet of {self.steps:,}"
        return f"step {self.done:,} of {self.steps:,}, {_ago(self.age or 0.0)}"

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings: the manifest without what was noted since."""
        return {name: value for name, value in self.manifest.items() if name not in NOTED}

    @property
    def told(self) -> dict[str, Any]:
        """Deprecated: ``settings``."""
        warn_of_old_name("LoggedRun.told", "LoggedRun.settings")
        return self.settings

    @property
    def notices(self) -> list[str]:
        """Warnings: what was left out, cut, assumed or replaced."""
        return list(self.manifest.get("notices", ()))

    @property
    def steps(self) -> int:
        """How many steps it has from beginning to end."""
        return int(self.manifest["settings"]["steps"])

    @property
    def done(self) -> int:
        """How many steps are in its log."""
        return int(self.lines[-1]["step"]) + ("loss" in self.lines[-1]) if self.lines else 0

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
        folders: of runs, or with runs directly in them.

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


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


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
