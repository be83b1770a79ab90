"""A table in LaTeX with the best means in bold; it needs the package booktabs."""

from __future__ import annotations

import re

from ance_ir.eval.grid import Cell, Tabular
from ance_ir.eval.tables import NOTHING

_SIGNS = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_SIGNS |= {">": r"\textgreater{}", "<": r"\textless{}", "|": r"\textbar{}"}


def to_latex(evaluation: Tabular) -> str:
    """A ``tabular`` environment, with the legend as a comment."""
    grid = evaluation.grid()
    labels = [label.capitalize() for label in grid.labels]
    header = " & ".join(map(_escaped, [*labels, *(column.name for column in grid.columns)]))
    body = "".join(
        ("  \\midrule\n" if begins else "") + f"  {' & '.join([*map(_escaped, shown), *map(_cell, row.cells)])} \\\\\n"
        for row, shown, begins in zip(grid.rows, grid.shown_labels(), grid.begins(), strict=True)
    )
    return (
        f"% {grid.legend}\n\\begin{{tabular}}{{{'l' * len(labels)}{'r' * len(grid.columns)}}}\n  \\toprule\n  {header} \\\\\n"
        f"  \\midrule\n{body}  \\bottomrule\n\\end{{tabular}}"
    )


def _cell(cell: Cell) -> str:
    value = cell.text.replace(NOTHING, "--")
    return (rf"\textbf{{{value}}}" if cell.best else value) + (r"$^{\dagger}$" if cell.differs else "")


def _escaped(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\<>|]", lambda sign: _SIGNS[sign[0]], text)


FORM = to_latex
