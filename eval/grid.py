"""The table of an evaluation, for all its forms: cells with their values, marks and best ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from markupsafe import Markup, escape

from ance_ir.eval.tables import NOTHING, Table

MARK = "†"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell.

    Attributes:
        value: ``None`` or NaN where there is none.
        decimals: that are shown.
        signed: whether a plus is shown.
        best: whether it is the best of those that it is compared with.
        differs: whether it differs from the baseline's by more than chance.
    """

    value: float | None
    decimals: int = 4
    signed: bool = False
    best: bool = False
    differs: bool = False

    @property
    def text(self) -> str:
        """The value as shown, without a mark."""
        if self.value is None:
            return NOTHING
        return f"{self.value:{'+' if self.signed else ''}.{self.decimals}f}".replace("+nan", "nan")

    @property
    def mark(self) -> str:
        """The mark of one that differs; empty for others."""
        return MARK if self.differs else ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of cells.

    Attributes:
        name: its header.
        marked: whether its cells can have a mark.
    """

    name: str
    marked: bool = True


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """A row.

    Attributes:
        labels: what stands before the cells.
        cells: one for each column.
    """

    labels: tuple[str, ...]
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The table of an evaluation.

    Attributes:
        labels: headers of what stands before the cells.
        columns: of the cells.
        rows: in order; those of one part of the table have the same first label, where there are several labels.
        compared: whether there is a baseline, so that cells may have marks.
        legend: the line below.
    """

    labels: tuple[str, ...]
    columns: Sequence[Column]
    rows: Sequence[GridRow]
    compared: bool
    legend: str

    def to_text(self) -> str:
        """For a terminal, with the legend; room is left for marks."""
        rows = [
            [*labels, *(f"{cell.text}{cell.mark or ' ' * column.marked}" for cell, column in zip(row.cells, self.columns, strict=True))]
            for row, labels in zip(self.rows, self.shown_labels(), strict=True)
        ]
        header = [*self.labels, *(f"{column.name} " if column.marked else column.name for column in self.columns)]
        return f"{Table(header=header, rows=rows, left=len(self.labels)).to_text()}\n{self.legend}"

    def to_html(self) -> str:
        """For a notebook, with the legend and the best in bold."""
        rows = [
            [*labels, *(Markup("<b>{}</b>{}" if cell.best else "{}{}").format(cell.text, cell.mark) for cell in row.cells)]
            for row, labels in zip(self.rows, self.shown_labels(), strict=True)
        ]
        header = [*self.labels, *(column.name for column in self.columns)]
        return f"{Table(header=header, rows=rows, left=len(self.labels)).to_html()}<p>{escape(self.legend)}</p>"

    def shown_labels(self) -> list[tuple[str, ...]]:
        """The labels of each row, for people: the first of several only where it changes."""
        shown, before = [], None
        for row in self.rows:
            repeated = len(row.labels) > 1 and row.labels[0] == before
            shown.append(("", *row.labels[1:]) if repeated else row.labels)
            before = row.labels[0]
        return shown

    def begins(self) -> list[bool]:
        """Of each row, whether another part of the table begins with it."""
        labels = [row.labels for row in self.rows]
        return [False, *(len(one) > 1 and one[0] != before[0] for before, one in pairwise(labels))]


class Tabular(Protocol):
    """What has a table: an evaluation, of one collection or of several."""

    def grid(self) -> Grid:
        """The table."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All figures, for JSON."""
        ...
