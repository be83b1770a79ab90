"""The table of an evaluation for papers, pages and programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ance_ir.errors import UsageError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.tables import NOTHING, Table

_TIME = "ms/query"
_MARK = "†"
_LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_LATEX |= {">": r"\textgreater{}", "<": r"\textless{}", "|": r"\textbar{}"}


def format_evaluation(evaluation: Evaluation, form: str) -> str:
    """The means of each system, with marks where it differs from the baseline, and its time.

    Args:
        evaluation: what was found.
        form: ``"text"``; ``"markdown"``; ``"latex"``, which needs the package booktabs; ``"json"``, with intervals and comparisons;
            ``"csv"``, with all digits, and a column of marks after each measure where there is a baseline.

    Raises:
        UsageError: there is no such form.
    """
    if form not in FORMS:
        raise UsageError(f"a form is one of {', '.join(FORMS)}, not {form!r}")
    return FORMS[form](evaluation)


def _markdown(evaluation: Evaluation) -> str:
    marked = evaluation.significant()
    rows = []
    for system, values in _rows(evaluation):
        cells = [f"{values[measure]:.4f}{_MARK if (system, measure) in marked else ''}" for measure in evaluation.measures]
        rows.append([system, *cells, _time(values)])
    header = ["system", *evaluation.measures, _TIME]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    return f"{Table(header=lines[0], rows=lines[1:]).to_markdown()}\n\n{evaluation.legend()}"


def _latex(evaluation: Evaluation) -> str:
    marked = evaluation.significant()
    best = evaluation.table()[evaluation.measures].round(4).max()
    lines = []
    for system, values in _rows(evaluation):
        cells = []
        for measure in evaluation.measures:
            told = f"{values[measure]:.4f}"
            told = rf"\textbf{{{told}}}" if round(values[measure], 4) == best[measure] else told
            cells.append(told + (r"$^{\dagger}$" if (system, measure) in marked else ""))
        lines.append(" & ".join([_escaped(system), *cells, _time(values).replace(NOTHING, "--")]))
    header = " & ".join(map(_escaped, ["System", *evaluation.measures, _TIME]))
    body = "".join(f"  {line} \\\\\n" for line in lines)
    return (
        f"% {evaluation.legend()}\n\\begin{{tabular}}{{l{'r' * (len(evaluation.measures) + 1)}}}\n  \\toprule\n  {header} \\\\\n"
        f"  \\midrule\n{body}  \\bottomrule\n\\end{{tabular}}"
    )


def _csv(evaluation: Evaluation) -> str:
    marked, compared = evaluation.significant(), evaluation.comparison is not None
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    marks = [f"{measure} mark" for measure in evaluation.measures] if compared else []
    writer.writerow(["system", *_interleaved(evaluation.measures, marks), _TIME])
    for system, values in _rows(evaluation):
        told = [_MARK if (system, measure) in marked else "" for measure in evaluation.measures] if compared else []
        numbers = [_digits(values[measure]) for measure in evaluation.measures]
        writer.writerow([system, *_interleaved(numbers, told), _digits(values[_TIME])])
    return stream.getvalue().removesuffix("\n")


FORMS: Mapping[str, Callable[[Evaluation], str]] = {
    "text": lambda evaluation: evaluation.to_text(),
    "markdown": _markdown,
    "latex": _latex,
    "json": lambda evaluation: json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False),
    "csv": _csv,
}


def _rows(evaluation: Evaluation) -> list[tuple[str, Mapping[str, float]]]:
    return [(str(system), {str(name): float(value) for name, value in values.items()}) for system, values in evaluation.table().iterrows()]


def _interleaved(first: list[str], second: list[str]) -> list[str]:
    return [cell for pair in zip(first, second, strict=True) for cell in pair] if second else first


def _time(values: Mapping[str, Any]) -> str:
    return f"{values[_TIME]:.1f}" if values[_TIME] == values[_TIME] else NOTHING


def _digits(value: float) -> str:
    return repr(value) if value == value else ""


def _escaped(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\<>|]", lambda sign: _LATEX[sign[0]], text)
