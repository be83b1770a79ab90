"""A finding of the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ance_ir.eval.tables import Table

Severity = Literal["problem", "warning", "note"]
"""``"problem"``: the figures are wrong; ``"warning"``: they may mislead; ``"note"``: good to know when reading them."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Finding:
    """A fact that makes figures doubtful.

    Attributes:
        severity: see ``Severity``.
        system: the system concerned; ``None`` for findings about queries, judgements or measures.
        what: the fact, with its numbers, as a sentence without a full stop.
        figures: the numbers alone, by name.
        advice: what to do, likewise.
    """

    severity: Severity
    system: str | None = None
    what: str
    figures: Mapping[str, float] = field(default_factory=dict)
    advice: str

    def __repr__(self) -> str:
        return f"Finding({self.to_text()})"

    def to_text(self) -> str:
        """A line for a terminal."""
        about = f"{self.system}: " if self.system is not None else ""
        return f"{self.severity}: {about}{self.what}; {self.advice}"


class Findings(list[Finding]):
    """Findings, the most severe first; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        rows = [[one.severity, one.system or "", one.what, one.advice] for one in self]
        return Table(header=["severity", "system", "finding", "advice"], rows=rows, left=4).to_html()
