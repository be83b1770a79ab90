"""Our figures next to published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ance_ir.eval.tables import Table
from ance_ir.paper.reproduction.catalogue import Figure

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A published value and ours.

    Attributes:
        measure: its name.
        source: the publication.
        published: its value.
        ours: our value.
        tolerance: how much they may differ.
    """

    measure: str
    source: str
    published: float
    ours: float
    tolerance: float

    @property
    def within(self) -> bool:
        """Whether they differ by no more than that."""
        return abs(self.ours - self.published) <= self.tolerance + _ROUNDING

    @property
    def verdict(self) -> str:
        """In words."""
        return f"within {decimals(self.tolerance)}: {'yes' if self.within else 'no'}"


def compare_with_published(figure: Figure, ours: Mapping[str, float]) -> list[Comparison]:
    """Our values next to all that are published for a figure.

    Args:
        figure: what was evaluated.
        ours: our value of each measure.
    """
    return [
        Comparison(measure=measure, source=known.source, published=value, ours=ours[measure], tolerance=expected.tolerance)
        for expected, known in figure.expected()
        for measure, value in known.values.items()
    ]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """A row for each, for people."""
    rows = [
        [
            one.measure,
            one.source,
            decimals(one.published),
            decimals(round(one.ours, 4)),
            f"{one.ours - one.published:+.4f}",
            one.verdict,
        ]
        for one in comparisons
    ]
    return Table(header=["measure", "published by", "published", "ours", "difference", "verdict"], rows=rows, left=2)


def decimals(value: float) -> str:
    """A value between 0 and 1 as papers write it: ``.0005``."""
    return f"{value:.4f}".rstrip("0").replace("0.", ".", 1) if 0 < value < 1 else f"{value:g}"
