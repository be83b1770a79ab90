"""Negatives that are refreshed more often train better, at a learning rate that does not outrun them.

The paper varies the refresh interval, the learning rate, the depth and how many GPUs train and infer. The runs are those of
``ance-ir train`` (``--refresh-every``, ``--learning-rate``, ``--depth``, ``--inferencers``) with a dev split, which are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.eval import Table
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome
from ance_ir.paper.pictures import Curve, curves_picture
from ance_ir.workflows.runs.logged import LoggedRun, read_training_runs
from ance_ir.workflows.runs.tables import measures_of

_VARIED = ("refresh every", "learning rate", "depth", "mined")
"""What the paper varies, by its names in the table."""


def measure(asked: Asked) -> dict[str, Any]:
    """Of each run what it was trained with, its loss, its staleness and its dev measures by step.

    Raises:
        UsageError: a run that mines no negatives, or has no dev measures.
    """
    return {"runs": {run.name: _told(run) for run in read_training_runs(asked.texts("run"))}}


def _told(run: LoggedRun) -> dict[str, Any]:
    refresh = run.manifest.get("refresh") or {}
    if not (run.refreshes and run.dev):
        raise UsageError(f"{run.folder}: a run with mined negatives and a dev split was expected")
    settings, measure = run.manifest["settings"], measures_of(run)[0]
    losses, staleness = run.values("loss"), run.values("staleness")
    return {
        "settings": {
            "refresh every": settings["refresh_every"],
            "learning rate": settings["learning_rate"],
            "depth": refresh["depth"],
            "mined": refresh["kind"],
        },
        "loss": float(losses.tail(max(1, len(losses) // 4)).mean()),
        "staleness": float(staleness.mean()),
        "measure": measure,
        "dev": {str(one["step"]): float(one[measure]) for one in run.dev},
    }


def show(found: Mapping[str, Any]) -> Shown:
    """A row for each run, and each pair of runs that differ in the refresh interval alone."""
    runs = found["runs"]
    measure = next(iter(runs.values()))["measure"]
    rows = [
        [
            name,
            *(f"{told['settings'][one]:g}" if one != "mined" else str(told["settings"][one]) for one in _VARIED),
            f"{told['staleness']:.1f}",
            f"{told['loss']:.4f}",
            f"{max(told['dev'].values()):.4f}",
            f"{list(told['dev'].values())[-1]:.4f}",
        ]
        for name, told in runs.items()
    ]
    header = ["run", *_VARIED, "staleness, mean steps", "loss, last quarter", f"best dev {measure}", f"last dev {measure}"]
    curves = {name: Curve(x=[int(step) for step in told["dev"]], y=list(told["dev"].values())) for name, told in runs.items()}
    return Shown(
        tables={"Training runs": Table(header=header, rows=rows)},
        outcomes=[_more_often(runs, measure)],
        picture=curves_picture({"": curves}, x="optimiser step", y=f"dev {measure}", logarithmic=False),
    )


def _more_often(runs: Mapping[str, Any], measure: str) -> Outcome:
    """Whether the shorter interval gave the better model in all pairs of runs that differ in nothing else; at least five make a sign."""
    gains = []
    for one, other in combinations(runs.values(), 2):
        differing = [name for name in _VARIED if one["settings"][name] != other["settings"][name]]
        if differing == ["refresh every"]:
            often, seldom = sorted((one, other), key=lambda told: float(told["settings"]["refresh every"]))
            gains.append(max(often["dev"].values()) - max(seldom["dev"].values()))
    better = int(np.sum(np.array(gains) > 0))
    verdict: Any = "not testable here" if len(gains) < 5 else "holds" if better == len(gains) else "does not hold"
    return Outcome(
        expected=f"of runs that differ in the refresh interval alone, the one that refreshes more often has the better dev {measure}",
        verdict=verdict,
        figures=f"in {better} of {len(gains)} pairs; at least 5 are needed",
    )


ANALYSIS = Analysis(
    covers="figure 9 and table 3",
    needs={"run": Need(what="training runs with mined negatives and a dev split, which differ in what is compared", least=2)},
    choices=(),
    measure=measure,
    show=show,
)
