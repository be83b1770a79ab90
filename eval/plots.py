"""Figures, as PNG files."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.errors import EvaluationError, MissingDependencyError
from ance_ir.files import atomic_path

_COLUMNS = ["step", "loss", "grad_norm"]
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]
"""Okabe and Ito's, which the colour-blind can tell apart."""

_STYLES = ["-", "--", ":"]
"""Of more lines than colours the next ones are broken."""


def plot_training(series: Mapping[str, pd.DataFrame], path: Path | str) -> None:
    """Training loss and gradient norm by optimiser step, a line for each scheme (the paper's figure 8).

    Every step is drawn faintly, and a moving average over a twentieth of the steps boldly.

    Args:
        series: by scheme, a frame with ``step``, ``loss`` and ``grad_norm`` (before clipping).
        path: the PNG.

    Raises:
        EvaluationError: there is nothing to plot.
        MissingDependencyError: matplotlib is not installed.
    """
    if not series:
        raise EvaluationError("there is no training run to plot")
    for scheme, values in series.items():
        missing = [column for column in _COLUMNS if column not in values.columns]
        if missing or values.empty:
            raise EvaluationError(f"{scheme}: expected rows of {' '.join(_COLUMNS)}, found {len(values)} of {' '.join(values.columns)}")
    figure = _figure()
    loss, norm = figure.subplots(1, 2)
    for number, (scheme, values) in enumerate(series.items()):
        colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
        values = values.sort_values("step")
        for axes, column in ((loss, "loss"), (norm, "grad_norm")):
            shown = values[column].where(values[column] > 0) if column == "grad_norm" else values[column]
            average = shown.rolling(max(1, len(values) // 20), min_periods=1, center=True).mean()
            axes.plot(values["step"], shown, ".", color=colour, alpha=0.3, markersize=4, markeredgewidth=0)
            axes.plot(values["step"], average, color=colour, linestyle=style, linewidth=2, label=scheme)
    norm.set_yscale("log")
    for axes, title, label in ((loss, "Training loss", "loss"), (norm, "Gradient norm", "L2 norm before clipping (log scale)")):
        axes.set(title=title, xlabel="optimiser steps", ylabel=label)
        axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = loss.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(series)), frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _figure() -> Any:
    """A figure of its own, outside pyplot's global state."""
    try:
        backend = importlib.import_module("matplotlib.backends.backend_agg")
        figure = importlib.import_module("matplotlib.figure").Figure(figsize=(10, 4.2), layout="constrained")
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "a figure", "pip install 'ance_ir[report]'") from error
    backend.FigureCanvasAgg(figure)
    return figure
