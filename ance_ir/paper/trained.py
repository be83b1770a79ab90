"""Training runs, as analyses read and compare them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ance_ir.errors import UsageError
from ance_ir.paper.analysis import Asked
from ance_ir.training.run.manifest import decisive, flat
from ance_ir.workflows import read_training_runs
from ance_ir.workflows.runs.logged import LoggedRun
from ance_ir.workflows.sets import described_sets

_TOLD_BY_FINGERPRINT = ("model.name", "dataset.name")


def read_runs(asked: Asked) -> list[LoggedRun]:
    """The training runs that were given.

    Raises:
        UsageError: one is on another dataset.
    """
    runs = read_training_runs(asked.texts("run"))
    for run in runs:
        sets = described_sets(run.manifest) if run.manifest.get("dataset") else []
        if asked.dataset.fingerprint not in [one["fingerprint"] for one in sets]:
            on = ", ".join(str(one["name"]) for one in sets) or "a dataset that it does not tell"
            raise UsageError(f"{run.folder}: a training run on {asked.dataset.name} was expected, this one is on {on}")
    return runs


def conditions(run: LoggedRun, *varied: str) -> dict[str, Any]:
    """All that makes a run this one, by names with dots between them, but what is varied; what JSON can hold."""
    return {name: value for name, value in flat(decisive(run.manifest)).items() if name not in (*_TOLD_BY_FINGERPRINT, *varied)}


def differing(every: Iterable[dict[str, Any]]) -> Sequence[str]:
    """The names of the conditions in which runs differ."""
    found = list(every)
    names = dict.fromkeys(name for one in found for name in one)
    return [name for name in names if any(one.get(name) != found[0].get(name) for one in found)]
