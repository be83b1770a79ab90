"""``ance-ir train-reader``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ance_ir.cli._options import (
    device_option,
    given,
    join,
    leave,
    opened_datasets,
    report_options,
    settings_from,
    training_sets_options,
)
from ance_ir.cli._training import pair_options, pair_settings

EXAMPLE = """
\b
Example:
  ance-ir train-reader --dataset squad-open --out runs/reader --fresh-head dpr \\
                       --steps 500 --learning-rate 1e-4 --pair-length 192
"""


@click.command("train-reader", short_help="Train a reader that finds answers in passages", epilog=EXAMPLE)
@training_sets_options
@click.option(
    "--fresh-head",
    type=click.Choice(["dpr", "qa"]),
    help="Begin with a new head, on a backbone or in place of the checkpoint's: DPR's, on a BERT, or one for question answering.",
)
@pair_options
@click.option("--max-answer-length", type=int, metavar="N", help="Tokens of an answer.  [default: the model's]")
@report_options
@device_option
def command(
    dataset: tuple[str, ...],
    model: str,
    fresh_head: Any,
    out: Path,
    pair_length: int | None,
    max_answer_length: int | None,
    report_to: tuple[str, ...],
    device: str | None,
    **options: Any,
) -> None:
    """Train a reader: it learns where an answer is in a relevant passage, and to tell this passage from others.

    The queries are questions with answers, the texts are passages. Relevant passages without an answer and negatives with one are left out.
    After an interruption, the same command resumes the run and ends with the same result.
    """
    from ance_ir import Reader
    from ance_ir.workflows import ReaderTraining, train_reader_on_dataset

    world, device = join(device)
    how, settings = settings_from(ReaderTraining, options), pair_settings(options)
    lengths = given(pair_length=pair_length, max_answer_length=max_answer_length)
    reader = Reader.from_pretrained(model, device=device, fresh_head=fresh_head, seed=settings.seed, **lengths)
    trained = train_reader_on_dataset(opened_datasets(dataset), reader, out, settings, how, world=world, verbose=True, report_to=report_to)
    leave(world, f"trained reader: {trained.name}", f"next: ance-ir read --dataset {shlex.quote(dataset[0])} --reader {out}")
