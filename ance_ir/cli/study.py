"""``ance-ir study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import HELD_OUT, UserPath, dataset_option, dev_dataset_option, device_option, given, layers_option, numbers
from ance_ir.cli._recipes import scale_option
from ance_ir.registries import OPTIMISERS

if TYPE_CHECKING:
    from fractions import Fraction

EXAMPLE = """
\b
Example:
  ance-ir study negatives --dataset python-stdlib --layers 0 --passage-length 64 \\
                          --batch-size 64 --learning-rate 1e-3 --steps 60 --refresh-every 30 \\
                          --depth 100 --out runs/study
"""


@click.group("study", short_help="Compare negatives as the paper does", epilog=EXAMPLE)
def command() -> None:
    """Compare negatives as the paper does: many training runs that differ in one thing."""


@command.command("negatives", short_help="Sampling schemes at equal steps from equal starts", epilog=EXAMPLE)
@dataset_option
@click.option(
    "--out", type=UserPath(), required=True, help="The study's folder; after an interruption, the same command resumes the study."
)
@click.option("--scheme", "schemes", multiple=True, metavar="S", help="What to compare; may be repeated.  [default: eleven, see above]")
@click.option("--seeds", default="3", show_default=True, metavar="N|A,B,…", help="How many (from 42 on), or which.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder to start from: a folder or a hub name.")
@layers_option
@click.option(
    "--head", "fresh_head", type=click.Choice(["ance"]), help="Put a fresh head of the paper's on its backbone; scores are dot products."
)
@click.option("--separate-towers", is_flag=True, help="Begin with two towers: copies of the one that queries and passages share.")
@click.option(
    "--warm-up", multiple=True, metavar="SOURCE:STEPS:RATE", help="Train it with these negatives first, once for all; may be repeated."
)
@click.option("--steps", type=int, default=160, show_default=True, help="Optimiser steps of a run.")
@click.option("--batch-size", type=int, default=32, show_default=True, help="Queries per batch.")
@click.option("--optimiser", type=click.Choice(list(OPTIMISERS)), default="adamw", show_default=True, help="Optimiser.")
@click.option("--learning-rate", type=float, default=5e-5, show_default=True, help="Its peak, after a tenth of the steps.")
@click.option("--temperature", type=float, help="Scores are divided by it.  [default: 1 for dot products, 0.05 for cosines]")
@click.option("--refresh-every", type=int, metavar="N", help="Steps between two minings of negatives.  [default: a quarter of them]")
@click.option("--warm-up-share", type=float, default=0.5, show_default=True, help="When `A -> B` changes to B; a refresh is due then.")
@click.option("--depth", type=int, default=200, show_default=True, help="Documents of a ranking that negatives are drawn from.")
@click.option("--split", default="train", show_default=True, help="The queries to train on.")
@click.option("--dev-split", metavar="SPLIT", help=f"Queries to evaluate on as well; {HELD_OUT}.  [default: dev, where there is one]")
@dev_dataset_option
@click.option("--test-split", default="test", show_default=True, help="Queries to evaluate on.")
@click.option("--query-length", type=int, metavar="N", help="Tokens of a query.  [default: the model's]")
@click.option("--passage-length", type=int, metavar="N", help="Tokens of a document, its first ones.  [default: the model's]")
@scale_option
@click.option("--keep", is_flag=True, help="Keep models, checkpoints and indexes; by default only figures and logs stay.")
@device_option
def negatives(
    out: Path,
    schemes: tuple[str, ...],
    seeds: str,
    steps: int,
    refresh_every: int | None,
    scale: Fraction | None,
    keep: bool,
    device: str | None,
    **settings: Any,
) -> None:
    """Train with each scheme under each seed, at equal steps from equal starts, and compare what comes out.

    With --warm-up the model is trained first, in stages, and all runs start from the best model of the last one on --dev-split: the paper's
    conditions are --head ance --warm-up in-batch:300:1e-4 --warm-up bm25:240:5e-5. docs/study.md shows both kinds of study.

    A scheme is a source as `ance-ir train --negatives` takes it, or "A -> B": A until --warm-up-share of the steps, then B. By default
    random, nce, bm25, in-batch, bm25+random, "bm25 -> random", "bm25 -> nce", "bm25 -> bm25+random", ance, "bm25 -> ance" and
    "in-batch -> ance".

    Each trained model indexes the corpus and is evaluated; in addition to its measures the loss, the gradient norms, and the share
    of its last negatives among the 100 documents that it ranks first are shown. At the end the paper's expectations are tested. After an
    interruption, the same command resumes the study.
    """
    from ance_ir.paper import StudySettings, run_study

    which = numbers(seeds.rstrip(","))
    if "," not in seeds:
        which = list(range(42, 42 + which[0])) if which else []
    study = StudySettings(
        seeds=tuple(which),
        steps=steps,
        refresh_every=max(1, steps // 4) if refresh_every is None else refresh_every,
        **given(schemes=schemes or None, **settings),
    )
    run_study(study if scale is None else study.scaled(scale), out, device=device, keep=keep, say=click.echo)
