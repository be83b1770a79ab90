"""Panels of lines over optimiser steps, as PNG files and as SVG for pages."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ance_ir.eval.report.pictures import legend_below, matplotlib, new_figure
from ance_ir.eval.report.strokes import BLACK, look
from ance_ir.files import atomic_path

_MANY = 500
"""A line of more points is drawn without a mark at each, and its dots go into an SVG as a picture."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        label: of the vertical axis, with the unit.
        lines: by name, values with the optimiser step as index, ascending.
        style: ``"noisy"``, each value faintly and a moving average over a twentieth of them boldly; ``"line"``; or ``"points"``, joined.
        log: whether the scale is logarithmic; values that are not positive are left out.
    """

    title: str
    label: str
    lines: Mapping[str, pd.Series[float]]
    style: Literal["noisy", "line", "points"] = "noisy"
    log: bool = False


def save_panels(
    panels: Sequence[Panel], names: Sequence[str], path: Path | str, *, columns: int = 3, size: tuple[float, float] = (4.4, 3.1)
) -> None:
    """Write panels in rows, with one legend, as a PNG.

    Args:
        panels: at least one.
        names: of the lines; a name's place decides its look.
        path: the PNG.
        columns: panels in a row.
        size: width and height of a panel, inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(columns * size[0], rows * size[1] + 0.3)
    every = figure.subplots(rows, columns, squeeze=False).flatten()
    handles: dict[str, Any] = {}
    for axes, panel in zip(every, panels, strict=False):
        handles = {**_draw(axes, panel, names), **handles}
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    legend_below(figure, {name: handles[name] for name in names if name in handles}, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def panel_svg(panel: Panel, names: Sequence[str], number: int) -> str:
    """A panel as an ``<svg>`` element for a page: without a legend, on the page's background and in its text's colour.

    Args:
        panel: what to draw.
        names: as for ``save_panels``.
        number: of the panel, another for each on a page.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = new_figure(4.4, 3.0)
    _draw(figure.subplots(), panel, names)
    stream = io.StringIO()
    with matplotlib().rc_context({"svg.fonttype": "none", "svg.hashsalt": "ance_ir"}):
        figure.savefig(stream, format="svg", transparent=True, dpi=150, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].replace(BLACK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1p{number}-", svg)
    return re.sub(r"\A<svg[^>]*", lambda tag: re.sub(r' (width|height)="[^"]*"', "", tag[0]), svg)


def _draw(axes: Any, panel: Panel, names: Sequence[str]) -> dict[str, Any]:
    """Draw a panel; returns the bold line of each name."""
    handles = {}
    for number, name in enumerate(names):
        if name not in panel.lines:
            continue
        values = panel.lines[name]
        shown = values.where(values > 0) if panel.log else values
        colour, dashes = look(number)
        many = len(shown) > _MANY
        if panel.style == "noisy":
            faint = 0.3 * min(1.0, (_MANY / len(shown)) ** 0.5)
            axes.plot(shown.index, shown, ".", color=colour, alpha=faint, markersize=4, markeredgewidth=0, rasterized=many, zorder=1.5)
            shown = shown.rolling(max(1, len(shown) // 20), min_periods=1, center=True).mean()
        mark = "o" if panel.style == "points" and not many else None
        (handles[name],) = axes.plot(
            shown.index,
            shown,
            color=colour,
            linestyle=dashes,
            linewidth=1.5 if panel.style == "line" else 2,
            marker=mark,
            markersize=4,
            label=name,
        )
    if panel.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_plain_numbers())
        axes.yaxis.set_minor_formatter(_plain_numbers())
    axes.set(title=panel.title, xlabel="optimiser steps", ylabel=panel.label)
    axes.grid(True, which="both" if panel.log else "major", color="#808080", alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    return handles


def _plain_numbers() -> Any:
    """A formatter of logarithmic ticks that writes 0.5, not 5e-01."""
    kind = matplotlib("ticker").LogFormatter

    def label(self: Any, value: float, place: int | None = None) -> str:
        return f"{value:g}" if kind.__call__(self, value, place) else ""

    return type("PlainNumbers", (kind,), {"__call__": label})()
