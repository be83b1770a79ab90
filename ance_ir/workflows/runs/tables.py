"""Tables of training runs: how far they are, how good and how fast, and what each refresh found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ance_ir.eval.tables import NOTHING, Table, table_of
from ance_ir.workflows.runs.logged import LoggedRun

_SECONDS = {
    "encode_seconds": "encoding s",
    "build_seconds": "building s",
    "search_seconds": "search s",
    "mine_seconds": "mining s",
    "waited_seconds": "waited s",
}
_FOUND = {
    "documents_encoded": "documents encoded",
    "mean_negative_score": "mean score",
    "suspected_false_negatives": "suspected false",
    "overlap_with_previous": "overlap: previous",
    "overlap_with_top_100": "overlap: top 100",
    "recall_of_exact": "recall of exact",
}
_OF_BACKENDS = {"build_seconds", "recall_of_exact"}
"""Figures of approximate search, shown where there are any."""

SUMMARY_LEGEND = (
    "loss and grad norm: means of the last twentieth of the steps; first wait: for the first negatives; "
    "waited: share of the time since in which training waited for others; pairs/s and steps/s: without these waits"
)
"""Explains the columns of the summary."""


def summary_table(runs: Sequence[LoggedRun]) -> Table:
    """A row for each run; ``SUMMARY_LEGEND`` explains the columns."""
    measures = list(dict.fromkeys(name for run in runs for name in measures_of(run)))
    firsts = list(dict.fromkeys(measures_of(run)[0] for run in runs if measures_of(run)))
    return table_of([_summary(run, measures, firsts) for run in runs], left=3)


def refresh_table(run: LoggedRun) -> Table:
    """A row for each change of negatives: when, mined with which model, what that cost, what it found, how good the model was."""
    dev = {evaluated["step"]: evaluated for evaluated in run.dev}
    measures = measures_of(run)
    rows = []
    left_out = _OF_BACKENDS.difference(*run.refreshes)
    for refresh in run.refreshes:
        row = {"used from step": str(refresh["step"]), "mined at": str(refresh.get("mined_at", NOTHING))}
        row |= {title: _seconds(refresh.get(name)) for name, title in _SECONDS.items() if name not in left_out}
        row |= {title: number(refresh.get(name)) for name, title in _FOUND.items() if name not in left_out}
        evaluated = dev.get(refresh.get("mined_at"), {})
        rows.append(row | {measure: number(evaluated.get(measure)) for measure in measures})
    return table_of(rows, left=0)


def measures_of(run: LoggedRun) -> list[str]:
    """The dev measures, the one that decides first."""
    return [name for name in dict.fromkeys(name for evaluated in run.dev for name in evaluated) if name != "step"]


def _summary(run: LoggedRun, measures: Iterable[str], firsts: Iterable[str]) -> dict[str, str]:
    row = {
        "run": run.name,
        "negatives": run.negatives,
        "state": run.state,
    }
    row |= {"loss": number(_last(run, "loss")), "grad norm": number(_last(run, "grad_norm"))}
    for first in firsts:
        row[f"best {first}"] = NOTHING
    row["at step"] = NOTHING
    if measures_of(run):
        decisive = measures_of(run)[0]
        best = max((found for found in run.dev if decisive in found), key=lambda found: float(found[decisive]))
        row |= {f"best {decisive}": number(best[decisive]), "at step": str(best["step"])}
    last = run.dev[-1] if run.dev else {}
    row |= {f"last {measure}": number(last.get(measure)) for measure in measures}
    row["refreshes"] = str(len(run.refreshes)) if run.refreshes else NOTHING
    staleness = run.values("staleness")
    row["staleness"] = f"{staleness.mean():.1f}" if len(staleness) else NOTHING
    return row | _speed(run)


def _speed(run: LoggedRun) -> dict[str, str]:
    seconds, pairs, tokens = run.values("seconds"), run.values("pairs"), run.values("tokens")
    took = float(seconds.sum())
    waits = [float(refresh["waited_seconds"]) for refresh in run.refreshes if "waited_seconds" in refresh]
    row = {"first wait s": f"{waits[0]:,.1f}" if waits else NOTHING}
    row["waited"] = f"{sum(waits[1:]) / (took + sum(waits[1:])):.1%}" if waits and took > 0 else NOTHING
    row["tokens/step"] = f"{tokens.mean():,.0f}" if len(tokens) else NOTHING
    row["pairs/s"] = f"{pairs.sum() / took:,.1f}" if len(pairs) and took > 0 else NOTHING
    row["steps/s"] = f"{len(seconds) / took:,.2f}" if took > 0 else NOTHING
    return row


def _last(run: LoggedRun, name: str) -> float | None:
    values = run.values(name)
    return float(values.iloc[-max(1, len(values) // 20) :].mean()) if len(values) else None


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}"


def number(value: Any) -> str:
    """A number for a table: whole ones whole, others with four places, or one from 100 on, or four digits below 0.01."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if 0 < abs(value) < 0.01 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4f}"
