"""A figure and its bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Something measured.

    Attributes:
        table: of which it is a row: ``"encoding"``.
        case: the model and the size: ``"base, 128"``.
        what: it is, with its unit.
        value: of it.
        ratio: of it to something; NaN where there is nothing to compare with.
        to: what.
        least: the bar: what the ratio should be at least; ``None``: there is none.
        most: likewise, at most.
    """

    table: str
    case: str
    what: str
    value: float
    ratio: float = float("nan")
    to: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def bar(self) -> str:
        """The bar in words."""
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}" if self.most is not None else ""

    @property
    def met(self) -> str:
        """Whether the bar is met; empty where there is none."""
        if not self.bar:
            return ""
        return "yes" if (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most) else "no"

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        shown = {name: getattr(self, name) for name in ("table", "case", "what", "value", "ratio", "to")}
        return {**shown, "bar": self.bar, "met": self.met}
