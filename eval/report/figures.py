"""Charts as SVG in the page's colours, light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from ance_ir.eval.report.strokes import ink, stroke

WIDTH, HEIGHT = 400, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 8, 40


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        label: its name.
        low: its lower end.
        high: its upper end, above ``low``.
        ticks: values that are written.
        log: whether it is logarithmic.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    log: bool = False

    def place(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The positions of values between the ends, from 0 to 1."""
        values, low, high = (np.log(value) if self.log else np.asarray(value, dtype=float) for value in (values, self.low, self.high))
        return np.asarray((values - low) / (high - low))


def chart(title: str, x: Axis, y: Axis, drawn: str) -> Markup:
    """A pair of axes; ``drawn`` is SVG from ``line`` and ``band``."""
    marks = []
    for tick, place in zip(y.ticks, y.place(y.ticks), strict=True):
        height = _across(1 - place, _TOP, HEIGHT - _BOTTOM)
        marks.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{height}" y2="{height}"/>')
        marks.append(f'<text x="{_LEFT - 8}" y="{height}" dy=".32em" text-anchor="end">{tick:g}</text>')
    for tick, place in zip(x.ticks, x.place(x.ticks), strict=True):
        across = _across(place, _LEFT, WIDTH - _RIGHT)
        marks.append(f'<text x="{across}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    marks.append(f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x.label)}</text>')
    return Markup(
        f'<figure><figcaption>{escape(title)}<span class="faint">{escape(y.label)}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(marks)}{drawn}</svg></figure>'
    )


def line(number: int, x: Axis, y: Axis, across: npt.ArrayLike, values: npt.ArrayLike) -> str:
    """A system's line through points."""
    return f'<polyline class="line" points="{_points(x, y, across, values)}" {stroke(number)}/>'


def band(number: int, x: Axis, y: Axis, across: npt.NDArray[np.float64], low: npt.ArrayLike, high: npt.ArrayLike) -> str:
    """The shaded area between two lines."""
    there = _points(x, y, across, low)
    back = _points(x, y, across[::-1], np.asarray(high)[::-1])
    return f'<polygon class="band" points="{there} {back}" fill="{ink(number)}"/>'


def interval(low: float, middle: float, high: float, reach: float) -> Markup:
    """A point with its interval and a line at zero, on a scale from ``-reach`` to ``reach``."""
    places = [70 + 64 * value / reach for value in (low, middle, high)]
    return Markup(
        '<svg class="interval" viewBox="0 0 140 16" aria-hidden="true"><line class="grid" x1="70" x2="70" y1="0" y2="16"/>'
        f'<line x1="{places[0]:.1f}" x2="{places[2]:.1f}" y1="8" y2="8"/><circle cx="{places[1]:.1f}" cy="8" r="3.5"/></svg>'
    )


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About ``count`` round numbers between two."""
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= count)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _across(place: float, start: float, end: float) -> str:
    return f"{start + place * (end - start):.1f}"


def _points(x: Axis, y: Axis, across: npt.ArrayLike, values: npt.ArrayLike) -> str:
    right = _LEFT + x.place(across) * (WIDTH - _RIGHT - _LEFT)
    down = _TOP + (1 - y.place(values)) * (HEIGHT - _BOTTOM - _TOP)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(right, down, strict=True))
