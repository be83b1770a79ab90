"""``ance-ir train-reranker``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ance_ir.cli._lora import lora_option
from ance_ir.cli._options import (
    HELD_OUT,
    dev_dataset_option,
    device_option,
    given,
    join,
    leave,
    listing,
    opened_datasets,
    report_options,
    settings_from,
    training_sets_options,
)
from ance_ir.cli._training import pair_options, pair_settings, selection_options
from ance_ir.registries import LOSSES

HELP = f"""Train a reranker: a cross-encoder that is to score a query's positive above its negatives.

Of a document it reads what fits into a pair with the query. After an interruption, the same command resumes the run and ends with the same
result.

Losses (--loss):

{listing(LOSSES)}
"""
EXAMPLE = """
\b
Example:
  ance-ir train-reranker --dataset python-stdlib --out runs/bert --fresh-head \\
                         --steps 300 --learning-rate 1e-4 --pair-length 128
"""


@click.command("train-reranker", short_help="Train a reranker (cross-encoder)", help=HELP, epilog=EXAMPLE)
@training_sets_options
@click.option("--dev-split", metavar="SPLIT", help=f"Queries to evaluate on at each checkpoint, reranking what BM25 finds; {HELD_OUT}.")
@dev_dataset_option
@click.option("--dev-depth", type=int, default=20, show_default=True, help="Documents to rerank for each of these queries.")
@click.option("--fresh-head", is_flag=True, help="Begin with a new classification head: on a backbone, or in place of the checkpoint's.")
@click.option(
    "--loss",
    type=click.Choice([*LOSSES, "cross-entropy", "margin"]),
    metavar=f"[{'|'.join(LOSSES)}]",
    default="nll",
    show_default=True,
    help="See above.",
)
@lora_option
@pair_options
@selection_options
@click.option("--query-length", type=int, metavar="N", help="Tokens of a query.  [default: half of a pair's]")
@report_options
@device_option
def command(
    dataset: tuple[str, ...],
    model: str,
    fresh_head: bool,
    out: Path,
    pair_length: int | None,
    query_length: int | None,
    report_to: tuple[str, ...],
    device: str | None,
    dev_dataset: str | None,
    **options: Any,
) -> None:
    """Train a reranker."""
    from ance_ir import CrossEncoder, load_dataset
    from ance_ir.pipelines.systems.words import path_word
    from ance_ir.workflows import RerankerTraining, train_reranker_on_dataset

    world, device = join(device)
    opened = load_dataset(dev_dataset) if dev_dataset else None
    how, settings = settings_from(RerankerTraining, options, dev_dataset=opened), pair_settings(options)
    lengths = given(pair_length=pair_length, query_length=query_length)
    reranker = CrossEncoder.from_pretrained(model, device=device, fresh_head="logit" if fresh_head else None, seed=settings.seed, **lengths)
    trained = train_reranker_on_dataset(
        opened_datasets(dataset), reranker, out, settings, how, world=world, say=click.echo, verbose=True, report_to=report_to
    )
    following = (
        f'ance-ir eval --dataset {shlex.quote(dataset[0])} --system bm25 --system "reranked=bm25 % 100 >> {path_word(out)}" --baseline bm25'
    )
    leave(world, f"trained model: {trained.name}", f"next: {following}")
