"""Curves of training runs, side by side in the same axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from ance_ir.eval.report.panels import Panel
from ance_ir.workflows.runs.logged import LoggedRun
from ance_ir.workflows.runs.plots import loss_panels
from ance_ir.workflows.runs.tables import measures_of


def run_panels(runs: Sequence[LoggedRun]) -> list[Panel]:
    """Loss, gradient norm, dev measures, learning rate, staleness, overlap, speed, and the gradient norms of groups of layers.

    Args:
        runs: those without steps are left out.

    Returns:
        The panels for which some run has values.
    """

    def lines(values: Callable[[LoggedRun], pd.Series[float]]) -> dict[str, pd.Series[float]]:
        return {run.name: found for run in runs if len(found := values(run))}

    groups = dict.fromkeys(group for run in runs for line in run.lines[:1] for group in line.get("grad_norms", {}))
    measures = dict.fromkeys(measure for run in runs for measure in measures_of(run))
    frames = {run.name: frame for run in runs if len(frame := _frame(run))}
    panels = loss_panels(frames)
    for measure in measures:
        panels.append(Panel(title=f"Dev {measure}", label=measure, lines=lines(partial(_dev, measure=measure)), style="points"))
    panels += [
        Panel(title="Learning rate", label="learning rate", lines=lines(lambda run: run.values("learning_rate")), style="line"),
        Panel(title="Staleness of the negatives", label="steps", lines=lines(lambda run: run.values("staleness")), style="line"),
        Panel(title="Negatives among the new top 100", label="share of those drawn before", lines=lines(_overlap), style="points"),
        Panel(title="Speed", label="pairs a second", lines=lines(_speed)),
    ]
    for group in groups:
        norms = lines(partial(_group, group=group))
        panels.append(Panel(title=f"Gradient norm: {group}", label="before clipping, log scale", lines=norms, log=True))
    return [panel for panel in panels if panel.lines]


def _frame(run: LoggedRun) -> pd.DataFrame:
    columns = {name: run.values(name) for name in ("loss", "grad_norm")}
    return pd.DataFrame(columns).dropna().rename_axis("step").reset_index()


def _dev(run: LoggedRun, measure: str) -> pd.Series[float]:
    return pd.Series({found["step"]: float(found[measure]) for found in run.dev if measure in found}, dtype=float).sort_index()


def _overlap(run: LoggedRun) -> pd.Series[float]:
    name = "overlap_with_top_100"
    return pd.Series({refresh["step"]: float(refresh[name]) for refresh in run.refreshes if name in refresh}, dtype=float)


def _speed(run: LoggedRun) -> pd.Series[float]:
    speed = run.values("pairs") / run.values("seconds")
    return speed[speed < float("inf")].dropna()


def _group(run: LoggedRun, group: str) -> pd.Series[float]:
    found = {line["step"]: float(line["grad_norms"][group]) for line in run.lines if group in line.get("grad_norms", {})}
    return pd.Series(found, dtype=float)
