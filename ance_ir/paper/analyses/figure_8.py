"""ANCE's negatives keep the training loss and the gradient norms high, in all layers, where random negatives let them vanish.

The paper shows the loss, and the gradient norms (before clipping) of the lower, middle and upper layers, by optimiser step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.eval import Table
from ance_ir.eval.report.pictures import Picture, legend_below
from ance_ir.eval.report.strokes import look
from ance_ir.paper.analysis import Analysis, Asked, Shown
from ance_ir.paper.expectations import ANCE, SEEDS, Outcome, Verdict, pointing
from ance_ir.paper.pictures import log_scale
from ance_ir.paper.report import spread
from ance_ir.paper.studied import NEED, logs_of, read_study

_LOSS = "training loss"


def measure(asked: Asked) -> dict[str, Any]:
    """Loss and norms of each step, under each seed."""
    folder, results = read_study(asked)
    schemes = {name: _values(logs) for name, logs in logs_of(folder, results).items()}
    return {"schemes": schemes, "expectations": [told for told in results["expectations"] if "gradient norms" in told["expected"]]}


def _values(logs: Sequence[pd.DataFrame]) -> dict[str, list[list[float]]]:
    """By what is shown, a list for each seed."""
    logs = [log.dropna(subset=["loss"]).sort_values("step") for log in logs]
    norms = [pd.DataFrame(list(log["grad_norms"])) for log in logs]
    return {_LOSS: [log["loss"].tolist() for log in logs], **{str(group): [one[group].tolist() for one in norms] for group in norms[0]}}


def show(found: Mapping[str, Any]) -> Shown:
    """Means over the last quarter of the steps, the curves, and whether the norms lie apart in each group of layers."""
    schemes = found["schemes"]
    columns = list(next(iter(schemes.values())))
    rows = [[name, *(spread(_ends(values[column])) for column in columns)] for name, values in schemes.items()]
    seeds = len(next(iter(schemes.values()))[_LOSS])
    header = ["negatives", *(column if column == _LOSS else f"norm, {column}" for column in columns)]
    outcomes = [Outcome(**told) for told in found["expectations"]]
    outcomes += [_each_group(ance, schemes, columns[1:]) for ance in ANCE if {ance, "random"} <= schemes.keys()]
    return Shown(
        tables={f"Means over the last quarter of the steps, of {seeds} seeds (± standard deviation)": Table(header=header, rows=rows)},
        outcomes=outcomes,
        picture=Picture(size=(2.6 * len(columns) + 0.4, 3.1), draw=partial(_draw, schemes=schemes, columns=columns)),
        texts=[
            "In-batch losses and their norms are of a softmax over the whole batch, and are on another scale than those of one negative."
        ],
    )


def _ends(runs: Sequence[Sequence[float]]) -> list[float]:
    return [float(np.mean(run[-max(1, len(run) // 4) :])) for run in runs]


def _each_group(ance: str, schemes: Mapping[str, Any], groups: Sequence[str]) -> Outcome:
    """Whether the norms of the two mix nowhere."""
    ends = {group: (_ends(schemes[ance][group]), _ends(schemes["random"][group])) for group in groups}
    above = [group for group, (large, small) in ends.items() if min(large) > max(small)]
    below = [group for group, (large, small) in ends.items() if max(large) < min(small)]
    seeds = min(len(runs) for pair in ends.values() for runs in pair)
    every = len(above) == len(groups)
    verdict: Verdict = pointing(every, seeds >= SEEDS) if every or below else "no significant difference"
    ratios = ", ".join(f"{group} {np.mean(large) / np.mean(small):.2g} ×" for group, (large, small) in ends.items())
    return Outcome(
        expected=f"the gradient norms of {ance} are above those of random in each group of layers, under each seed",
        verdict=verdict if seeds > 1 else "not testable here",
        figures=f"{ratios}; {'one seed' if seeds == 1 else f'{seeds} seeds'}",
    )


def _draw(figure: Any, schemes: Mapping[str, Any], columns: Sequence[str]) -> None:
    every = figure.subplots(1, len(columns), squeeze=False)[0]
    handles = {}
    for axes, column in zip(every, columns, strict=True):
        for place, (name, values) in enumerate(schemes.items()):
            colour, dashes = look(place)
            runs = pd.DataFrame(values[column]).T
            smooth = runs.rolling(max(1, len(runs) // 20), min_periods=1).mean()
            (handles[name],) = axes.plot(smooth.index, smooth.mean(axis=1), color=colour, linestyle=dashes, linewidth=1.4)
            axes.fill_between(smooth.index, smooth.min(axis=1), smooth.max(axis=1), color=colour, alpha=0.15, linewidth=0)
        if column != _LOSS:
            log_scale(axes, "y")
        axes.set(title=column, xlabel="optimiser step")
    every[0].set_ylabel("loss (nats)")
    if len(columns) > 1:
        every[1].set_ylabel("gradient norm before clipping")
    legend_below(figure, handles)


ANALYSIS = Analysis(covers="figure 8", needs=NEED, choices=(), measure=measure, show=show)
