"""A page that shows training runs side by side: one file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from ance_ir.eval.report.frame import render
from ance_ir.eval.report.panels import panel_svg, save_panels
from ance_ir.eval.report.strokes import stroke
from ance_ir.files import as_path, atomic_open
from ance_ir.workflows.runs.curves import run_panels
from ance_ir.workflows.runs.logged import LoggedRun
from ance_ir.workflows.runs.settings import differences_table, settings_table
from ance_ir.workflows.runs.tables import SUMMARY_LEGEND, refresh_table, summary_table


def write_run_page(runs: Sequence[LoggedRun], folder: Path | str) -> list[Path]:
    """Write ``curves.png``, unless no run has taken a step, and ``index.html``.

    Args:
        runs: at least one.
        folder: made if need be; files of these names are replaced.

    Returns:
        The files written.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    folder = as_path(folder)
    page = folder / "index.html"
    names = [run.name for run in runs]
    panels = run_panels(runs)
    html = render(
        "ance_ir.workflows.runs/page.html",
        names=names,
        strokes={name: stroke(number) for number, name in enumerate(names)},
        now=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        summary=summary_table(runs),
        legend=SUMMARY_LEGEND,
        differences=differences_table(runs),
        figures=[(panel.title, Markup(panel_svg(panel, names, number))) for number, panel in enumerate(panels)],
        runs=[(run.name, run.notices, settings_table(run), refresh_table(run)) for run in runs],
    )
    written = []
    if panels:
        save_panels(panels, names, folder / "curves.png")
        written.append(folder / "curves.png")
    with atomic_open(page) as stream:
        stream.write(html)
    return [*written, page]
