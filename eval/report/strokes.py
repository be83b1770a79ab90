"""Strokes of lines in figures and pages: colours safe for the colour-blind, then dashes."""

from __future__ import annotations

from markupsafe import Markup

BLACK = "#000000"
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", BLACK]
"""Okabe and Ito's."""
_DASHES = {"solid": "none", "dashed": "7 4", "dotted": "2 3", "dashdot": "8 3 2 3"}
"""Matplotlib's names, and the same in SVG."""


def look(number: int) -> tuple[str, str]:
    """Colour and dashes of the line of a number, as matplotlib takes them; the first 28 differ."""
    return _COLOURS[number % len(_COLOURS)], list(_DASHES)[number // len(_COLOURS) % len(_DASHES)]


def ink(number: int) -> str:
    """The line's colour in CSS; black follows the page's text, also in dark mode."""
    return look(number)[0].replace(BLACK, "currentColor")


def stroke(number: int) -> Markup:
    """The line's look as attributes of SVG."""
    return Markup(f'stroke="{ink(number)}" stroke-dasharray="{_DASHES[look(number)[1]]}"')
