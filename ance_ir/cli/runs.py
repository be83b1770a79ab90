"""``ance-ir runs``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath

EXAMPLE = """
\b
Example:
  ance-ir runs show runs/x
  ance-ir runs show runs --out comparison
"""


@click.group("runs", short_help="Show training runs, side by side", epilog=EXAMPLE)
def command() -> None:
    """Show training runs, side by side."""


@command.command("show", short_help="Show the progress and results of training runs", epilog=EXAMPLE)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=UserPath())
@click.option("--out", type=UserPath(file_okay=False), metavar="FOLDER", help="Write curves.png and index.html there.")
def show(folders: tuple[Path, ...], out: Path | None) -> None:
    """Show how training runs went, or are going.

    DIR is a run's folder, or one with runs directly in it. Each run has a row; of a single one the settings and refreshes are shown
    too. With --out curves are drawn, and a page is written that holds them, the table, and the settings in which the runs differ.
    """
    from ance_ir.workflows import SUMMARY_LEGEND, read_training_runs, refresh_table, settings_table, summary_table, write_run_page

    runs = read_training_runs(folders)
    click.echo(summary_table(runs).to_text())
    click.echo(SUMMARY_LEGEND)
    if len(runs) == 1:
        for table in (settings_table(runs[0]), refresh_table(runs[0])):
            if table.rows:
                click.echo(f"\n{table.to_text()}")
    if out is None:
        click.echo("\ncurves, and a page to compare runs: --out FOLDER")
    else:
        click.echo(f"\nwritten: {', '.join(map(str, write_run_page(runs, out)))}")
