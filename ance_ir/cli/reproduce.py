"""``ance-ir reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import UserPath, device_option

if TYPE_CHECKING:
    from ance_ir.paper.reproduction import Outcome

EXAMPLE = """
\b
Example:
  ance-ir reproduce
  ance-ir reproduce ance-passage --dry-run
  ance-ir reproduce ance-passage/dl19 --out /data/reproductions
"""


@click.command("reproduce", short_help="Reproduce published figures with the released checkpoints", epilog=EXAMPLE)
@click.argument("names", nargs=-1, metavar="[NAME[/FIGURE]]...")
@click.option("--out", type=UserPath(), default="reproductions", show_default=True, help="For vectors, indexes, runs and logs.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what that takes.")
@device_option
def command(names: tuple[str, ...], out: Path, dry_run: bool, device: str | None) -> None:
    """Reproduce published figures with the released checkpoints; without a name, list them.

    Checkpoint, vectors or documents, and queries are downloaded and verified, unless they are there; then the figures are computed and
    compared with the published ones. OUT/NAME/FIGURE/log.md says how they came about. After an interruption, the same command resumes.
    NAME may also be a file in .toml, of the form of those in ance_ir/paper/reproductions.

    The exit code is 1 where a figure is not within its tolerance; a last line names those that are not. It is 2 where there is an error.
    """
    from ance_ir.paper import reproduction

    chosen = reproduction.find_reproductions(names)
    if not names:
        for line in reproduction.listing(chosen):
            click.echo(line)
        return
    outcomes: list[Outcome] = []
    for one in chosen:
        click.echo(f"{one.name}: {one.describes}")
        if dry_run:
            reproduction.dry_run(one, out, click.echo)
        else:
            outcomes += reproduction.reproduce(one, out, device=device, verbose=True, say=click.echo)
    if missed := [f"{outcome.name} ({', '.join(outcome.missed)})" for outcome in outcomes if outcome.missed]:
        click.echo(f"not within the tolerance: {'; '.join(missed)}", err=True)
        click.get_current_context().exit(1)
