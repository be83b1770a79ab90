"""``ance-ir inferencer``."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from ance_ir.cli._options import UserPath, dataset_options, device_option, named_columns, precision_option

EXAMPLE = """
\b
Example, on two machines that share a folder:
  ance-ir train --dataset D --out /shared/x --steps 10000 --inferencers 0
  ance-ir inferencer /shared/x --device cuda
"""


@click.command("inferencer", short_help="Mine negatives for a training run", epilog=EXAMPLE)
@click.argument("run", type=UserPath())
@dataset_options(
    multiple=True,
    help="The run's dataset, or all of several in their order, where they are found elsewhere than by the trainer.",
)
@click.option("--dev-dataset", metavar="D", callback=named_columns, help="Likewise the dataset of --dev-dataset.")
@device_option
@precision_option
@click.option("--patience", type=float, default=600.0, show_default=True, help="Seconds to wait for a heartbeat of the trainer.")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input ends: the trainer that started this has gone.")
def command(run: Path, with_parent: bool, **options: Any) -> None:
    """Mine negatives with the newest checkpoint of the training run RUN until its training ends.

    Any number of inferencers may work on a run, on any machine that sees its folder: they share the corpus, and one of them searches.
    """
    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    from ance_ir.workflows import run_inferencer

    run_inferencer(run, **options, say=click.echo, workers=None, verbose=sys.stderr.isatty())


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)
