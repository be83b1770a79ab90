"""The parts of the page that need no script: the figures of all queries together."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ance_ir.eval.doctor import Finding
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.rankings import evaluated_qrels, evaluated_results
from ance_ir.eval.report.curves import LEVELS, precision_by_recall, scores_by_rank
from ance_ir.eval.report.figures import Axis, band, chart, ink, interval, line, nice_ticks, swatch
from ance_ir.eval.significance import CONFIDENCE

_UNIT = np.linspace(0, 1, 6).round(1).tolist()


def name(number: int, system: str) -> str:
    """A system's name after its stroke."""
    return f'<span class="name">{swatch(number)}{escape(system)}</span>'


def summary(evaluation: Evaluation) -> str:
    """Means with marks and intervals, and times."""
    table, marked = evaluation.table(), evaluation.significant()
    best = table[evaluation.measures].round(4).max()
    rows = []
    for number, system in enumerate(evaluation.per_query):
        cells = []
        for measure in evaluation.measures:
            low, high = evaluation.interval(system, measure)
            mean = table[measure][system]
            strong = ' class="best"' if round(mean, 4) == best[measure] and len(table) > 1 else ""
            mark = '<sup title="differs by more than chance">†</sup>' if (system, measure) in marked else "<sup></sup>"
            cells.append(f'<td{strong}>{mean:.4f}{mark}<span class="under">{low:.3f} – {high:.3f}</span></td>')
        base = ' <span class="tag">baseline</span>' if system == evaluation.baseline else ""
        rows.append(f'<tr><th scope="row">{name(number, system)}{base}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{escape(measure)}</th>' for measure in evaluation.measures)
    told = f"{escape(evaluation.legend())}. Beneath each mean: its {CONFIDENCE:.0%} bootstrap interval."
    return (
        f'<div class="wide"><table><thead><tr><th scope="col">System</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f'<p class="faint">{told}</p>'
    )


def comparison(evaluation: Evaluation) -> str:
    """Differences from the baseline; empty without one."""
    if evaluation.comparison is None or evaluation.comparison.empty:
        return ""
    compared: list[dict[Any, Any]] = evaluation.comparison.to_dict("records")
    limits = [evaluation.interval(row["system"], row["measure"], "difference_") for row in compared]
    reach = float(np.abs(limits).max()) or 1.0
    marked, numbers, rows = evaluation.significant(), {system: number for number, system in enumerate(evaluation.per_query)}, []
    for row, (low, high) in zip(compared, limits, strict=True):
        system, measure, p = row["system"], row["measure"], row["p_corrected"]
        strong = ' class="best"' if (system, measure) in marked else ""
        cells = [
            f'<td class="text">{escape(measure)}</td><td{strong}>{_signed(row["difference"])}</td>',
            f"<td>{interval(low, row['difference'], high, reach)}</td><td>{_signed(low)}</td><td>{_signed(high)}</td>",
            f"<td>{'&lt; 0.0001' if p < 0.0001 else f'{p:.4f}'}</td>",
            f"<td>{row['wins']:,}</td><td>{row['losses']:,}</td><td>{row['ties']:,}</td>",
        ]
        rows.append(f'<tr><th scope="row">{name(numbers[system], system)}</th>{"".join(cells)}</tr>')
    head = f'<th scope="col">Difference</th><th scope="col" colspan="3">{CONFIDENCE:.0%} interval</th><th scope="col">p</th>'
    head += "".join(f'<th scope="col">{title}</th>' for title in ("Wins", "Losses", "Ties"))
    return (
        f'<h3>Against {escape(str(evaluation.baseline))}</h3><div class="wide"><table><thead><tr><th scope="col">System</th>'
        f'<th scope="col" class="text">Measure</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def findings(found: Sequence[Finding]) -> str:
    """What the doctor says."""
    if not found:
        return '<p class="faint">Nothing to object to.</p>'
    items = []
    for finding in found:
        what = escape(finding.what if finding.system is not None else _capital(finding.what))
        about = f"<b>{escape(finding.system)}</b>: " if finding.system is not None else ""
        items.append(
            f'<li class="{finding.severity}"><span class="tag">{finding.severity}</span>'
            f'<p>{about}{what}.<br><span class="faint">{escape(_capital(finding.advice))}.</span></p></li>'
        )
    return f'<ul class="findings">{"".join(items)}</ul>'


def notices(evaluation: Evaluation) -> str:
    """What was left out, cut, assumed or replaced; empty where nothing was."""
    if not evaluation.notices:
        return ""
    items = [f'<li class="warning"><span class="tag">notice</span><p>{escape(_capital(told))}</p></li>' for told in evaluation.notices]
    return f'<h3>Left out, cut or assumed</h3><ul class="findings">{"".join(items)}</ul>'


def curves(evaluation: Evaluation, relevant: int) -> str:
    """Precision by recall of all systems, and how the scores of each decay."""
    qrels, figures = evaluated_qrels(evaluation), []
    share = Axis(label="precision, interpolated", low=0, high=1, ticks=_UNIT)
    recall = Axis(label="recall", low=0, high=1, ticks=_UNIT)
    runs = {system: run for system in evaluation.runs if len(run := evaluated_results(evaluation, system))}
    numbers = {system: number for number, system in enumerate(evaluation.runs)}
    if (qrels["label"] >= relevant).any():
        drawn = [line(numbers[system], recall, share, LEVELS, precision_by_recall(run, qrels, relevant)) for system, run in runs.items()]
        figures.append(chart("Precision by recall", recall, share, "".join(drawn)))
    for system, run in runs.items():
        figures.append(_decay(numbers[system], system, scores_by_rank(run)))
    legend = "".join(f"<li>{name(number, system)}</li>" for system, number in numbers.items())
    return f'<ul class="legend">{legend}</ul><div class="figures">{"".join(figures)}</div>'


def speed(evaluation: Evaluation) -> str:
    """Milliseconds a query, as bars."""
    slowest = max(evaluation.ms_per_query.values(), default=0.0) or 1.0
    rows = []
    for number, system in enumerate(evaluation.per_query):
        took = evaluation.ms_per_query.get(system)
        if took is None:
            continue
        bar = f'<span class="bar" style="width:{max(0.3, 100 * took / slowest):.1f}%;background:{ink(number)}"></span>'
        rate = f"{1000 / took:,.1f}" if took > 0 else "–"
        rows.append(f'<tr><th scope="row">{name(number, system)}</th><td class="bars">{bar}</td><td>{took:,.1f}</td><td>{rate}</td></tr>')
    if not rows:
        return '<p class="faint">Runs from elsewhere do not tell.</p>'
    return (
        '<div class="wide"><table class="speed"><thead><tr><th scope="col">System</th><th></th><th scope="col">ms/query</th>'
        f'<th scope="col">Queries/s</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _decay(number: int, system: str, scores: np.ndarray) -> str:
    ranks = np.arange(1, len(scores) + 1)
    kept = np.unique(np.geomspace(1, len(ranks), 120).round().astype(int)) - 1
    low, high = float(scores[kept].min()), float(scores[kept].max())
    margin = 0.05 * (high - low) or 0.5
    y = Axis(label="mean score, and its quartiles", low=low - margin, high=high + margin, ticks=nice_ticks(low - margin, high + margin))
    last = max(2, len(ranks))
    x = Axis(label="rank", low=1, high=last, ticks=[tick for tick in (1, 10, 100, 1000, 10_000) if tick <= last], log=True)
    drawn = band(number, x, y, ranks[kept].astype(float), scores[kept, 0], scores[kept, 2]) + line(
        number, x, y, ranks[kept], scores[kept, 1]
    )
    return chart(f"Score by rank: {escape(system)}", x, y, drawn)


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
