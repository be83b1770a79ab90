"""``ance-ir train-reranker``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ance_ir.cli._options import UserPath, dataset_option, device_option, given, join, optimisation_options, tensorboard_option
from ance_ir.registries import LOSSES

EXAMPLE = """
\b
Example:
  ance-ir train-reranker --dataset python-stdlib --out runs/bert --fresh-head \\
                         --steps 300 --learning-rate 1e-4 --pair-length 128
"""


@click.command("train-reranker", short_help="Train a reranker (cross-encoder)", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="train", show_default=True, help="The queries to train on.")
@click.option("--dev-split", metavar="SPLIT", help="Queries to evaluate on at each checkpoint, reranking what BM25 finds.")
@click.option("--dev-depth", type=int, default=20, show_default=True, help="Documents of each that are reranked then.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="Where to start: a folder or a hub name.")
@click.option("--fresh-head", is_flag=True, help="Begin with a new classification head: on a backbone, or in place of the checkpoint's.")
@click.option("--out", type=UserPath(), required=True, help="The run's folder; the same command again goes on.")
@click.option(
    "--loss",
    type=click.Choice([*LOSSES, "cross-entropy", "margin"]),
    metavar=f"[{'|'.join(LOSSES)}]",
    default="nll",
    show_default=True,
    help="What is minimised.",
)
@click.option(
    "--negatives",
    default="bm25",
    show_default=True,
    metavar="SOURCE",
    help='random, a run file, or a system: bm25, x.ance, "bm25 >> x.ance".',
)
@click.option("--depth", type=int, default=100, show_default=True, help="Documents of a ranking that negatives are drawn from.")
@click.option("--negatives-per-query", type=int, default=3, show_default=True, help="Negatives drawn for each query.")
@optimisation_options
@click.option("--checkpoint-every", type=int, default=100, show_default=True, help="Steps between two checkpoints.")
@click.option("--no-dropout", is_flag=True, help="Switch the model's dropout off.")
@click.option("--pair-length", type=int, metavar="N", help="Tokens of query and document together.  [default: the model's]")
@click.option("--query-length", type=int, metavar="N", help="Tokens of a query.  [default: half of a pair's]")
@tensorboard_option
@device_option
def command(
    dataset: str,
    split: str,
    dev_split: str | None,
    dev_depth: int,
    model: str,
    fresh_head: bool,
    out: Path,
    loss: Any,
    negatives: str,
    depth: int,
    negatives_per_query: int,
    no_dropout: bool,
    pair_length: int | None,
    query_length: int | None,
    tensorboard: bool,
    device: str | None,
    **settings: Any,
) -> None:
    """Train a reranker: a cross-encoder that is to score a query's positive above its negatives.

    Of a document it reads what fits into a pair beside the query. Losses are those of `ance-ir train` that need no teacher. After an
    interruption, the same command resumes the run and ends with the same result.
    """
    from ance_ir import CrossEncoder, load_dataset
    from ance_ir.pipelines.systems.words import path_word
    from ance_ir.training import TrainingSettings
    from ance_ir.workflows import train_reranker_on_dataset

    world, device = join(device)
    steps = settings["steps"]
    options = TrainingSettings(negatives=negatives_per_query, dropout=not no_dropout, refresh_every=max(1, steps), **settings)
    lengths = given(pair_length=pair_length, query_length=query_length)
    reranker = CrossEncoder.from_pretrained(model, device=device, head="fresh" if fresh_head else "trained", seed=options.seed, **lengths)
    trained = train_reranker_on_dataset(
        load_dataset(dataset),
        reranker,
        out,
        options,
        loss=loss,
        negatives=negatives,
        depth=depth,
        split=split,
        dev_split=dev_split,
        dev_depth=dev_depth,
        world=world,
        say=click.echo,
        verbose=True,
        tensorboard=tensorboard,
    )
    world.leave()
    if not world.leads:
        return
    click.echo(f"trained model: {trained.name}")
    stage = path_word(out)
    click.echo(f'next: ance-ir eval --dataset {dataset} --system bm25 --system "reranked=bm25 % 100 >> {stage}" --baseline bm25')
