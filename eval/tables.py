"""Tables of text, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

NOTHING = "–"
"""The cell of a missing value."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text; a notebook shows it as HTML.

    Attributes:
        header: names of the columns.
        rows: each as long as the header. A cell may be ``markupsafe.Markup`` for HTML.
        left: how many of the first columns are text, aligned left; the others hold numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def to_text(self) -> str:
        """For a terminal."""
        rows = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(self._cells(row, widths)).rstrip() for row in rows]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """For a page, all columns aligned left."""
        rows = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [" | ".join(map(str.ljust, row, widths)) for row in rows]
        lines.insert(1, " | ".join("-" * width for width in widths))
        return "\n".join(f"| {line} |" for line in lines)

    def to_html(self) -> str:
        """A ``<table>`` element; text is escaped."""
        rows = [self._html_row("th", self.header), *(self._html_row("td", row) for row in self.rows)]
        return str(Markup("<table>{}</table>").format(Markup("").join(rows)))

    _repr_html_ = to_html

    def _html_row(self, tag: str, row: Sequence[str]) -> Markup:
        cell = Markup(f'<{tag} style="text-align:{{}}">{{}}</{tag}>')
        cells = [cell.format("left" if i < self.left else "right", text) for i, text in enumerate(row)]
        return Markup("<tr>{}</tr>").format(Markup("").join(cells))

    def _cells(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [cell.ljust(width) if i < self.left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]


def table_of(rows: Sequence[Mapping[str, str]], *, left: int = 1) -> Table:
    """A table of rows that may lack cells.

    Args:
        rows: by column; columns are in the order of their first cell; those without a value in any row are left out.
        left: see ``Table``.

    Returns:
        The table.
    """
    header = [
        name for name in dict.fromkeys(name for row in rows for name in row) if any(row.get(name, NOTHING) != NOTHING for row in rows)
    ]
    return Table(header=header, rows=[[row.get(name, NOTHING) for name in header] for row in rows], left=left)
