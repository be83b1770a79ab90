"""``ance-ir demo``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, device_option

EXAMPLE = """
\b
Example:
  ance-ir demo
  ance-ir demo --compare --out runs/compare
"""


@click.command("demo", short_help="Train, index and evaluate on a collection that needs no download", epilog=EXAMPLE)
@click.option("--out", type=UserPath(), default=Path("runs/demo"), show_default=True, help="Where everything is written.")
@click.option("--steps", type=int, default=32, show_default=True, help="Optimiser steps.")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of all random numbers.")
@click.option("--compare", is_flag=True, help="Also compare FirstP with MaxP passages.")
@device_option
def command(out: Path, steps: int, seed: int, compare: bool, device: str | None) -> None:
    """Train, index and evaluate on a collection that needs no download.

    The collection is the standard library of the running Python: its documents are the functions and classes, its queries the first
    sentences of their docstrings. The encoder is MiniLM, from a package. It is trained twice, at equal steps: with random negatives and
    with ANCE's; the other systems are tested against the first. An interrupted demo is resumed.
    """
    from ance_ir.workflows.demo import DemoSettings, run_demo

    settings = DemoSettings(steps=steps, seed=seed, compare=compare)
    run_demo(settings, out, device=device, say=click.echo, verbose=True)
