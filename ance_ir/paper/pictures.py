"""The two pictures that most analyses draw: means with their intervals, and curves with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ance_ir.eval.report.pictures import Picture, legend_below, matplotlib
from ance_ir.eval.report.strokes import look

MARKS = "osD^vPX"
"""Of points, so that they can be told apart without colours."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Values at places, in their order.

    Attributes:
        x: the places.
        y: the values.
        low: the lower limits of their intervals; empty where there are none.
        high: the upper ones.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def dots_picture(
    panels: Mapping[str, Mapping[str, Sequence[float]]], *, reference: float | None = None, one_colour: bool = False
) -> Picture:
    """Panels side by side, each with a row for a system: its mean as a dot, and its interval as a line.

    Args:
        panels: by the label of their axis, by system: mean, lower and upper limit.
        reference: where a vertical line is drawn.
        one_colour: whether rows look alike, where they are no systems.
    """
    rows = max(map(len, panels.values()))
    room = 0.075 * max(len(row) for systems in panels.values() for row in systems)
    draw = partial(_draw_dots, panels=panels, reference=reference, one_colour=one_colour)
    return Picture(size=(2.4 * len(panels) + room + 0.4, 0.34 * rows + 1.0), draw=draw)


def _draw_dots(figure: Any, panels: Mapping[str, Mapping[str, Sequence[float]]], reference: float | None, one_colour: bool) -> None:
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (label, systems) in zip(every, panels.items(), strict=True):
        for place, (value, low, high) in enumerate(systems.values()):
            look_of = 0 if one_colour else place
            colour, mark = look(look_of)[0], MARKS[look_of % len(MARKS)]
            axes.errorbar(value, place, xerr=[[value - low], [high - value]], fmt=mark, color=colour, markersize=5, capsize=2.5)
        if reference is not None:
            axes.axvline(reference, color="black", linewidth=0.8, linestyle="dashed")
        axes.set(xlabel=label, yticks=range(len(systems)), yticklabels=list(systems))
        axes.grid(False, axis="y")
        axes.margins(x=0.12)
    every[0].set_ylim(len(next(iter(panels.values()))) - 0.5, -0.5)


def curves_picture(
    panels: Mapping[str, Mapping[str, Curve]], *, x: str, y: str | Sequence[str], logarithmic: bool = True, ticks: Sequence[float] = ()
) -> Picture:
    """Panels side by side, each with a curve for a system, and its interval as a band; one legend.

    Args:
        panels: by title, by system.
        x: the label of the horizontal axis.
        y: the label of the vertical one that all panels share, or of that of each.
        logarithmic: whether the horizontal axis is.
        ticks: its ticks, where they are to be these.
    """
    draw = partial(_draw_curves, panels=panels, labels=(x, y), logarithmic=logarithmic, ticks=ticks)
    return Picture(size=(3.6 * len(panels) + 0.4, 3.3), draw=draw)


def _draw_curves(
    figure: Any,
    panels: Mapping[str, Mapping[str, Curve]],
    labels: tuple[str, str | Sequence[str]],
    logarithmic: bool,
    ticks: Sequence[float],
) -> None:
    shared = isinstance(labels[1], str)
    every = figure.subplots(1, len(panels), sharey=shared, squeeze=False)[0]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    handles = {}
    for axes, (title, curves) in zip(every, panels.items(), strict=True):
        for name, curve in curves.items():
            colour, dashes = look(names.index(name))
            mark = {"marker": MARKS[names.index(name) % len(MARKS)], "markersize": 4} if len(curve.x) <= 20 else {}
            (handles[name],) = axes.plot(curve.x, curve.y, color=colour, linestyle=dashes, linewidth=1.6, **mark)
            if len(curve.low):
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        if logarithmic:
            log_scale(axes, "x")
        if ticks:
            axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            axes.minorticks_off()
        axes.set(title=title, xlabel=labels[0])
    for axes, label in zip(every, [labels[1]] if shared else labels[1], strict=False):
        axes.set_ylabel(label)
    legend_below(figure, {name: handles[name] for name in names})


def log_scale(axes: Any, *names: str) -> None:
    """Make axes logarithmic, with plain numbers at their ticks, once all is drawn on them.

    Args:
        axes: matplotlib's.
        names: ``"x"``, ``"y"``.
    """
    ticker = matplotlib("ticker")
    for name in names:
        getattr(axes, f"set_{name}scale")("log")
        axis, (low, high) = getattr(axes, f"{name}axis"), getattr(axes, f"get_{name}lim")()
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axis.set_major_formatter("{x:,g}")
        axis.set_minor_formatter(ticker.NullFormatter())


def band(values_SX: np.ndarray, *, seed: int = 0, resamples: int = 1000) -> tuple[list[float], list[float]]:
    """Limits of 95 % of the means over rows, by bootstrap: of float ``[S, X]`` two lists of X."""
    rng = np.random.default_rng(seed)
    means = np.stack([values_SX[rng.integers(len(values_SX), size=len(values_SX))].mean(axis=0) for _ in range(resamples)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low.tolist(), high.tolist()
