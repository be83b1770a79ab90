"""A table in LaTeX with the best means in bold; it needs the package booktabs."""

from __future__ import annotations

import re

from ance_ir.eval.evaluation import TIME, Evaluation, Mean
from ance_ir.eval.tables import NOTHING

_SIGNS = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_SIGNS |= {">": r"\textgreater{}", "<": r"\textless{}", "|": r"\textbar{}"}


def to_latex(evaluation: Evaluation) -> str:
    """A ``tabular`` environment, with the legend as a comment."""
    lines = [
        " & ".join([_escaped(row.system), *map(_cell, row.means.values()), row.time.replace(NOTHING, "--")]) for row in evaluation.rows()
    ]
    header = " & ".join(map(_escaped, ["System", *evaluation.measures, TIME]))
    body = "".join(f"  {line} \\\\\n" for line in lines)
    return (
        f"% {evaluation.legend()}\n\\begin{{tabular}}{{l{'r' * (len(evaluation.measures) + 1)}}}\n  \\toprule\n  {header} \\\\\n"
        f"  \\midrule\n{body}  \\bottomrule\n\\end{{tabular}}"
    )


def _cell(mean: Mean) -> str:
    value = f"{mean.value:.4f}"
    return (rf"\textbf{{{value}}}" if mean.best else value) + (r"$^{\dagger}$" if mean.differs else "")


def _escaped(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\<>|]", lambda sign: _SIGNS[sign[0]], text)


FORM = to_latex
