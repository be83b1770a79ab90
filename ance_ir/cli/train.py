"""``ance-ir train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from ance_ir.cli._options import dataset_option, device_option, optimisation_options, text_options, text_settings

EXAMPLE = """
\b
Example:
  ance-ir train --dataset python-stdlib --out runs/x --steps 64 --refresh-every 32 \\
                --learning-rate 5e-5 --passage-length 128
"""


@click.command("train", short_help="Train a dense retriever", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="train", show_default=True, help="The queries to train on.")
@click.option("--dev-split", metavar="SPLIT", help="Queries to evaluate on at each refresh (with --negatives ance).")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder to start from: a folder or a hub name.")
@click.option("--head", type=click.Choice(["ance"]), help="Put a fresh head of the paper's models on a bare backbone.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The run's folder; the same command again goes on.")
@click.option("--negatives", type=click.Choice(["ance", "bm25", "random"]), default="ance", show_default=True, help="Where they come from.")
@click.option(
    "--depth", type=int, default=200, show_default=True, help="Documents of a ranking that ance and bm25 negatives are drawn from."
)
@click.option("--passages", default="firstp", show_default=True, help="firstp[:LENGTH], maxp[:LENGTH,COUNT] or sliding[:LENGTH,STRIDE].")
@optimisation_options
@click.option("--negatives-per-query", type=int, default=1, show_default=True, help="Negatives drawn for each query.")
@click.option("--temperature", type=float, help="Scores are divided by it.  [default: 1 for dot products, 0.05 for cosines]")
@click.option("--refresh-every", type=int, default=1000, show_default=True, help="Steps between two minings of negatives.")
@click.option("--checkpoint-every", type=int, help="Steps between two checkpoints.  [default: at each refresh]")
@click.option("--no-dropout", is_flag=True, help="Switch the backbone's dropout off.")
@text_options
@device_option
def command(
    dataset: str,
    split: str,
    dev_split: str | None,
    model: str,
    head: Literal["ance"] | None,
    out: Path,
    negatives: str,
    depth: int,
    passages: str,
    temperature: float | None,
    negatives_per_query: int,
    no_dropout: bool,
    query_length: int | None,
    passage_length: int | None,
    text: tuple[str, ...],
    device: str | None,
    **settings: Any,
) -> None:
    """Train a dense retriever.

    With ance negatives, the corpus is encoded with the model as it is, searched with the training queries, and new negatives are taken
    from what it ranks first; again every --refresh-every steps. Broken off, the same command goes on and ends the same.
    """
    from ance_ir import DenseEncoder, load_dataset
    from ance_ir.eval import train_on_dataset
    from ance_ir.indexes import parse_passages
    from ance_ir.training import TrainingSettings

    told = text_settings(query_length, passage_length, text)
    encoder = DenseEncoder.from_pretrained(model, head=head, seed=settings["seed"], device=device, **told)
    if temperature is None:
        temperature = 0.05 if encoder.similarity == "cosine" else 1.0
    options = TrainingSettings(negatives=negatives_per_query, temperature=temperature, dropout=not no_dropout, **settings)
    trained = train_on_dataset(
        load_dataset(dataset),
        encoder,
        out,
        options,
        scheme=negatives,
        passages=parse_passages(passages),
        depth=depth,
        split=split,
        dev_split=dev_split,
        say=click.echo,
        verbose=True,
    )
    click.echo(f"trained model: {trained}")
    click.echo(f"next: ance-ir index --dataset {dataset} --model {out} --passages {passages} --out {out}.ance")
