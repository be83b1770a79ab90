"""Tables and a plot of what tuning measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ance_ir.eval.report.pictures import new_figure
from ance_ir.eval.report.strokes import look
from ance_ir.eval.tables import Table
from ance_ir.eval.tuning.choice import Measured, Tuning
from ance_ir.files import as_path, atomic_open, atomic_path

Form = Literal["text", "markdown", "csv", "json"]

_MOST_AREA = 500
"""Of a mark, in square points: that of the largest."""

_LINE = 0.185
"""Inches that a line of the key takes."""

_GRAIN = 0.002
"""Recalls closer to 1 than this lie together in the plot."""


def tuning_table(tuning: Tuning, *, whole: bool = False) -> Table:
    """The Pareto front, fastest first, or all settings; ``*`` marks the choice, ``+`` the rest of the front."""
    front, chosen = tuning.front, tuning.chosen
    rows = []
    for one in tuning.measured if whole else front:
        mark = "*" if one is chosen else "+" if one in front else ""
        time = one.timing
        rows.append(
            [
                mark,
                one.backend,
                f"{one.recall:.4f}",
                *(f"{value:.3g}" for value in (time.median_ms, time.p99_ms)),
                f"{time.queries_per_second:,.0f}",
                f"{one.memory_bytes / 2**20:,.1f}",
                f"{one.build_seconds:,.1f}",
            ]
        )
    header = ["", "backend", f"recall@{tuning.k}", "median ms", "p99 ms", "queries/s", "MiB", "build s"]
    return Table(header=header, rows=rows, left=2)


def tuning_as(tuning: Tuning, form: Form) -> str:
    """The Pareto front as text or Markdown, or all settings as CSV or JSON."""
    if form in ("text", "markdown"):
        table = tuning_table(tuning)
        return table.to_text() if form == "text" else table.to_markdown()
    rows = [{**one.values(), "front": one in tuning.front, "chosen": one is tuning.chosen} for one in tuning.measured]
    if form == "csv":
        return pd.DataFrame(rows).to_csv(index=False).rstrip()
    return json.dumps({"chosen": tuning.summary(), "measured": rows, "skipped": dict(tuning.skipped)}, indent=2, ensure_ascii=False)


def write_tuning(tuning: Tuning, folder: Path | str) -> list[Path]:
    """Write all settings measured as ``tuning.md``, ``.csv``, ``.json`` and a plot, ``.png``, into a folder.

    Returns:
        Their paths.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    folder = as_path(folder)
    paths = [folder / f"tuning.{ending}" for ending in ("md", "csv", "json", "png")]
    texts = [tuning_table(tuning, whole=True).to_markdown(), tuning_as(tuning, "csv"), tuning_as(tuning, "json")]
    for path, text in zip(paths, texts, strict=False):
        with atomic_open(path) as stream:
            stream.write(f"{text}\n")
    plot_tuning(tuning, paths[3])
    return paths


def plot_tuning(tuning: Tuning, path: Path | str) -> None:
    """Recall against median latency, a mark for each setting, as large as its memory; the Pareto front outlined, its edge numbered.

    Args:
        tuning: what was found.
        path: the PNG.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    front = tuning.front
    edge = _edge(front)
    looks = _looks(tuning)
    height = max(5.6, 1 + _LINE * (len(edge) + len(looks) + 8))
    figure = new_figure(10.5, height)
    axes, side = figure.subplots(1, 2, width_ratios=[3, 1])
    largest = max(one.memory_bytes for one in tuning.measured)
    for one in sorted(tuning.measured, key=lambda one: -one.memory_bytes):
        best = one in front
        colour, shape = looks[one.family]
        axes.scatter(
            one.timing.median_ms,
            one.recall,
            s=max(14, _MOST_AREA * one.memory_bytes / largest),
            color=colour,
            marker=shape,
            alpha=0.85 if best else 0.2,
            edgecolor="black" if best else "none",
            linewidth=2.5 if one is tuning.chosen else 0.8,
            zorder=3 if best else 2,
        )
    axes.plot([one.timing.median_ms for one in edge], [one.recall for one in edge], color="black", linewidth=1, zorder=2.5)
    for number, one in enumerate(edge, start=1):
        place = (one.timing.median_ms, one.recall)
        axes.annotate(str(number), place, xytext=(-8, 8), textcoords="offset points", ha="right", va="bottom", fontsize=8, zorder=4)
    axes.axhline(tuning.target, color="#808080", linewidth=0.8, linestyle="dashed", zorder=1)
    _scales(axes, min(one.recall for one in [*edge, tuning.chosen]))
    threads = "1 thread" if tuning.threads == 1 else f"{tuning.threads} threads"
    axes.set(
        title=f"{tuning.documents:,} documents, {tuning.queries:,} queries, {threads}",
        xlabel="median milliseconds of a query, log scale",
        ylabel=f"recall@{tuning.k} of exact search",
    )
    axes.grid(True, which="major", color="#808080", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    names = [f"{number}  {one.backend}{' *' if one is tuning.chosen else ''}" for number, one in enumerate(edge, start=1)]
    _key(side, looks, names, largest, height)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _looks(tuning: Tuning) -> dict[str, tuple[str, str]]:
    """Colour and shape of each family's marks."""
    families = [family for family in dict.fromkeys(one.family for one in tuning.measured) if family != "exact"]
    looks = {family: (look(number)[0], "os^Dv"[number // 7 % 5]) for number, family in enumerate(families)}
    return {"exact": ("#808080", "P"), **looks}


def _edge(front: Sequence[Measured]) -> list[Measured]:
    """The part of the front that nothing beats in recall and latency alone, fastest first."""
    edge: list[Measured] = []
    for one in front:
        if not edge or one.recall > edge[-1].recall:
            edge.append(one)
    return edge


def _scales(axes: Any, low: float) -> None:
    """Latency on a logarithmic scale, recall on one that shows what is missing: from 0.98 to 0.99 is as far as from 0.9 to 0.95."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("function", functions=(lambda recall: -np.log(1 + _GRAIN - recall), lambda place: 1 + _GRAIN - np.exp(-place)))
    axes.set_yticks([0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(bottom=max(0.0, 1 - 1.3 * (1 - low)), top=1 + _GRAIN / 2)


def _key(side: Any, looks: Mapping[str, tuple[str, str]], numbered: Sequence[str], largest: int, height: float) -> None:
    """The key next to the axes, of this height in inches: numbers, marks and sizes."""
    side.axis("off")
    sizes = [largest / share for share in (1, 4, 16)]
    blank = [side.scatter([], [], s=0, color="none") for _ in numbered]
    marks = [side.scatter([], [], s=45, color=colour, marker=shape) for colour, shape in looks.values()]
    rings = [side.scatter([], [], s=_MOST_AREA * size / largest, color="none", edgecolor="black") for size in sizes]
    megabytes = [f"{size / 2**20:,.1f} MiB" for size in sizes]
    line = _LINE / height
    parts: tuple[tuple[str, list[Any], Sequence[str], float, dict[str, float]], ...] = (
        ("numbered (* chosen)", blank, numbered, 1 + line, {"handlelength": 0.0}),
        ("family", marks, list(looks), 1 - line * (len(numbered) + 1), {}),
        ("memory", rings, megabytes, 1 - line * (len(numbered) + len(looks) + 3), {"labelspacing": 1.2, "borderpad": 1.0}),
    )
    for title, handles, labels, top, apart in parts:
        place = {"loc": "upper left", "bbox_to_anchor": (-0.05, top), "borderaxespad": 0}
        side.add_artist(side.legend(handles, labels, title=title, alignment="left", frameon=False, fontsize=8, **place, **apart))
