"""Negatives that are refreshed more often train better, at a learning rate that does not outrun them.

The paper varies the refresh interval, the learning rate, the depth and how many GPUs train and infer, and shows the loss and a dev measure
by step. The runs are those of ``ance-ir train`` (``--refresh-every``, ``--learning-rate``, ``--depth``, ``--inferencers``, under torchrun
several trainers) with a dev split, which are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.errors import UsageError
from ance_ir.eval import Table
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, Verdict, pointing
from ance_ir.paper.pictures import Curve, curves_picture
from ance_ir.paper.trained import conditions, differing, read_runs
from ance_ir.workflows.runs.logged import LoggedRun
from ance_ir.workflows.runs.tables import measures_of

_VARIED = {"refresh every": "settings.refresh_every", "learning rate": "settings.learning_rate", "depth": "refresh.depth"}
"""What the paper varies, by its names in the table, and by those in a run's manifest."""
_MINED = "trainers:inferencers"
"""What it varies too."""
_PAIRS = 5
"""Of runs that differ in the refresh interval alone, how many are needed."""


def measure(asked: Asked) -> dict[str, Any]:
    """Of each run what it was trained with, its staleness, and its loss and dev measure by step.

    Raises:
        UsageError: a run that mines no negatives, or has no dev measures, or is on another dataset.
    """
    return {"runs": {run.name: _told(run) for run in read_runs(asked)}}


def _told(run: LoggedRun) -> dict[str, Any]:
    if not (run.refreshes and run.dev):
        raise UsageError(f"{run.folder}: a run with mined negatives and a dev split was expected")
    every, measure = conditions(run), measures_of(run)[0]
    return {
        "settings": {**{name: every[told] for name, told in _VARIED.items()}, _MINED: _processes(run)},
        "others": conditions(run, "refresh.kind", *_VARIED.values()),
        "losses": {str(step): float(loss) for step, loss in run.values("loss").items()},
        "staleness": float(run.values("staleness").mean()),
        "measure": measure,
        "dev": {str(one["step"]): float(one[measure]) for one in run.dev},
    }


def _processes(run: LoggedRun) -> str:
    """How many processes train, and how many mine meanwhile: 0 where training waits, ``?`` where they are started elsewhere or not told."""
    told = run.manifest.get("environment", {}).get("processes", {})
    inferencers = 0 if run.manifest["refresh"]["kind"] == "in-process" else told.get("inferencers")
    return f"{told.get('trainers', '?')}:{'?' if inferencers is None else inferencers}"


def show(found: Mapping[str, Any]) -> Shown:
    """A row for each run, its curves, and each pair of runs that differ in the refresh interval alone."""
    runs = found["runs"]
    measure = next(iter(runs.values()))["measure"]
    rows = [
        [
            name,
            *(f"{told['settings'][one]:g}" for one in _VARIED),
            told["settings"][_MINED],
            f"{told['staleness']:.1f}",
            f"{_last_quarter(told['losses']):.4f}",
            f"{max(told['dev'].values()):.4f}",
            f"{list(told['dev'].values())[-1]:.4f}",
        ]
        for name, told in runs.items()
    ]
    header = ["run", *_VARIED, _MINED, "staleness, mean steps", "loss, last quarter", f"best dev {measure}", f"last dev {measure}"]
    losses = {name: _curve(_smooth(told["losses"])) for name, told in runs.items()}
    dev = {name: _curve(told["dev"]) for name, told in runs.items()}
    others = differing(told["others"] for told in runs.values())
    return Shown(
        tables={"Training runs": Table(header=header, rows=rows)},
        outcomes=[_more_often(runs, measure)],
        picture=curves_picture(
            {"training loss": losses, f"dev {measure}": dev},
            x="optimiser step",
            y=("loss (nats)", f"dev {measure}"),
            logarithmic=False,
        ),
        texts=[f"The runs differ in {', '.join(others)}, too; those that do are not compared."] if others else (),
    )


def _curve(by_step: Mapping[str, float]) -> Curve:
    return Curve(x=[int(step) for step in by_step], y=list(by_step.values()))


def _smooth(losses: Mapping[str, float]) -> dict[str, float]:
    """Running means over a twentieth of the steps."""
    found = pd.Series(losses, dtype=float)
    return {str(step): float(loss) for step, loss in found.rolling(max(1, len(found) // 20), min_periods=1).mean().items()}


def _last_quarter(losses: Mapping[str, float]) -> float:
    return float(np.mean(list(losses.values())[-max(1, len(losses) // 4) :]))


def _more_often(runs: Mapping[str, Any], measure: str) -> Outcome:
    """Whether the shorter interval gave the better model in all pairs of runs that differ in nothing else. A run is in several pairs, so
    that their number is no test.
    """
    gains = []
    for one, other in combinations(runs.values(), 2):
        between = differing({**told["settings"], **told["others"]} for told in (one, other))
        if between == ["refresh every"]:
            often, seldom = sorted((one, other), key=lambda told: float(told["settings"]["refresh every"]))
            gains.append(max(often["dev"].values()) - max(seldom["dev"].values()))
    better, worse = (int(np.sum(sign * np.array(gains) > 0)) for sign in (1, -1))
    verdict: Verdict = "not testable here"
    if len(gains) >= _PAIRS:
        verdict = "no significant difference" if len(gains) not in (better, worse) else pointing(better > 0, confirmed=False)
    return Outcome(
        expected=f"of runs that differ in the refresh interval alone, the one that refreshes more often has the better dev {measure}",
        verdict=verdict,
        figures=f"in {better} of {len(gains)} pairs, without a test; at least {_PAIRS} are needed",
    )


ANALYSIS = Analysis(
    covers="figure 9 and table 3",
    needs={"run": Need(what="training runs with mined negatives and a dev split, which differ in what is compared", least=2)},
    choices=(),
    measure=measure,
    show=show,
)
