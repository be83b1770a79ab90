"""Figures of training, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ance_ir.errors import EvaluationError
from ance_ir.eval.report.panels import Panel, save_panels

_COLUMNS = ["step", "loss", "grad_norm"]


def loss_panels(series: Mapping[str, pd.DataFrame]) -> list[Panel]:
    """Training loss and gradient norm (the paper's figure 8), from frames with ``step``, ``loss`` and ``grad_norm`` (before clipping)."""
    by_step = {name: values.set_index("step").sort_index() for name, values in series.items()}
    return [
        Panel(title="Training loss", label="loss", lines={name: values["loss"] for name, values in by_step.items()}),
        Panel(
            title="Gradient norm",
            label="before clipping, log scale",
            lines={name: values["grad_norm"] for name, values in by_step.items()},
            log=True,
        ),
    ]


def plot_training(series: Mapping[str, pd.DataFrame], path: Path | str) -> None:
    """Training loss and gradient norm by optimiser step, a line for each scheme (the paper's figure 8).

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
    save_panels(loss_panels(series), list(series), path, columns=2, size=(5.0, 3.9))
