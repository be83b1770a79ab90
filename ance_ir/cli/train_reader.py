"""``ance-ir train-reader``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ance_ir.cli._options import UserPath, dataset_option, device_option, given, join, optimisation_options, tensorboard_option

EXAMPLE = """
\b
Example:
  ance-ir train-reader --dataset squad-open --out runs/reader --fresh-head dpr \\
                       --steps 500 --learning-rate 1e-4 --pair-length 192
"""


@click.command("train-reader", short_help="Train a reader that finds answers in passages", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="train", show_default=True, help="The questions to train on; they need answers.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="Where to start: a folder or a hub name.")
@click.option(
    "--fresh-head",
    type=click.Choice(["dpr", "qa"]),
    help="Begin with a new head, on a backbone or in place of the checkpoint's: DPR's, on a BERT, or one for question answering.",
)
@click.option("--out", type=UserPath(), required=True, help="The run's folder; the same command again goes on.")
@click.option(
    "--negatives",
    default="bm25",
    show_default=True,
    metavar="SOURCE",
    help='random, a run file, or a system: bm25, x.ance, "bm25 >> x.ance".',
)
@click.option("--depth", type=int, default=100, show_default=True, help="Passages of a ranking that negatives are drawn from.")
@click.option("--negatives-per-query", type=int, default=3, show_default=True, help="Negatives drawn for each question.")
@optimisation_options
@click.option("--checkpoint-every", type=int, default=100, show_default=True, help="Steps between two checkpoints.")
@click.option("--no-dropout", is_flag=True, help="Switch the model's dropout off.")
@click.option("--pair-length", type=int, metavar="N", help="Tokens of question and passage together.  [default: the model's]")
@click.option("--max-answer-length", type=int, metavar="N", help="Tokens of an answer.  [default: the model's]")
@tensorboard_option
@device_option
def command(
    dataset: str,
    split: str,
    model: str,
    fresh_head: Any,
    out: Path,
    negatives: str,
    depth: int,
    negatives_per_query: int,
    no_dropout: bool,
    pair_length: int | None,
    max_answer_length: int | None,
    tensorboard: bool,
    device: str | None,
    **settings: Any,
) -> None:
    """Train a reader: it learns where an answer stands in a relevant passage, and to tell this passage from others.

    Relevant passages without an answer and negatives with one are left out. Broken off, the same command goes on and ends the same.
    """
    from ance_ir import Reader, load_dataset
    from ance_ir.training import TrainingSettings
    from ance_ir.workflows import train_reader_on_dataset

    world, device = join(device)
    options = TrainingSettings(negatives=negatives_per_query, dropout=not no_dropout, refresh_every=max(1, settings["steps"]), **settings)
    lengths = given(pair_length=pair_length, max_answer_length=max_answer_length)
    reader = Reader.from_pretrained(model, device=device, fresh_head=fresh_head, seed=options.seed, **lengths)
    trained = train_reader_on_dataset(
        load_dataset(dataset),
        reader,
        out,
        options,
        negatives=negatives,
        depth=depth,
        split=split,
        world=world,
        verbose=True,
        tensorboard=tensorboard,
    )
    world.leave()
    if not world.leads:
        return
    click.echo(f"trained reader: {trained.name}")
    click.echo(f"next: ance-ir read --dataset {dataset} --reader {out}")
