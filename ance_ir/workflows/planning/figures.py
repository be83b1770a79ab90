"""Figures for people: as exact as an estimate is."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time in the unit that people would use: ``4.1 s``, ``12 min``, ``3.2 h``, ``41 days``."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 96)):
        if seconds < most * size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds / 86400)} days"


def figure(value: float) -> str:
    """Two figures or more."""
    if value == 0:
        return "–"
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.2g}"
