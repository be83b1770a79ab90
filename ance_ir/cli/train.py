"""``ance-ir train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import click

from ance_ir.cli._options import (
    UserPath,
    dataset_option,
    device_option,
    join,
    layers_option,
    numbers,
    optimisation_options,
    passages_option,
    tensorboard_option,
    text_options,
    text_settings,
)
from ance_ir.registries import DISTILLATIONS, LOSSES

_LOSSES = [*LOSSES, *DISTILLATIONS]
DRAWS = ["uniform", "top", "score"]

EXAMPLE = """
\b
Example:
  ance-ir train --dataset python-stdlib --out runs/x --steps 64 --refresh-every 32 \\
                --learning-rate 5e-5 --passage-length 128
"""


@click.command("train", short_help="Train a dense retriever", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="train", show_default=True, help="The queries to train on.")
@click.option("--dev-split", metavar="SPLIT", help="Queries to evaluate on at each refresh.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder to start from: a folder or a hub name.")
@click.option("--head", type=click.Choice(["ance"]), help="Put a fresh head of the paper's models on a bare backbone.")
@layers_option
@click.option("--out", type=UserPath(), required=True, help="The run's folder; the same command again goes on.")
@click.option("--negatives", default="ance", show_default=True, metavar="SOURCE", help="Where they come from; see above.")
@click.option("--warm-up", metavar="SOURCE", help="Where they come from at first.")
@click.option("--warm-up-until", type=int, metavar="STEP", help="When the warm-up ends.  [default: at the first refresh after step 0]")
@click.option("--depth", type=int, default=200, show_default=True, help="Documents of a ranking that negatives are drawn from.")
@click.option("--draw", type=click.Choice(DRAWS), default="uniform", show_default=True, help="How ance draws from them; see above.")
@click.option("--skip", type=int, default=0, show_default=True, help="Leave out so many of the first documents of ance's ranking.")
@click.option("--margin", type=float, help="Leave out what scores less than this below the query's best positive.")
@click.option("--filter-teacher", metavar="MODEL", help="Leave out what this cross-encoder scores above the query's best positive …")
@click.option("--filter-teacher-margin", type=float, default=0.0, show_default=True, help="… or less than this below it.")
@click.option("--rotation", type=int, default=1, show_default=True, help="Each refresh mines for one of so many parts of the queries.")
@click.option("--inferencers", type=int, help="Processes that mine while training goes on; 0: only those started elsewhere.")
@click.option("--inferencer-devices", metavar="DEVICE,…", help="Theirs, e.g. cuda:1,cuda:2.")
@click.option("--reuse", metavar="INDEX", help="An index of --model over an earlier state of the corpus; encode only what is new, first.")
@passages_option
@optimisation_options
@click.option("--negatives-per-query", type=int, default=1, show_default=True, help="Negatives drawn for each query.")
@click.option("--loss", type=click.Choice(_LOSSES), help="See above.  [default: nll with in-batch negatives, else pairwise-nll]")
@click.option("--teacher", metavar="MODEL", help="A cross-encoder to distil from, with --loss margin-mse or kl.")
@click.option("--dimensions", metavar="D,…", help="Apply the loss also to vectors cut to so many dimensions, e.g. 256,64.")
@click.option("--grad-cache", is_flag=True, help="Encode a batch twice, in parts, so that memory does not bound its size.")
@click.option("--temperature", type=float, help="Scores are divided by it.  [default: 1 for dot products, 0.05 for cosines]")
@click.option("--refresh-every", type=int, default=1000, show_default=True, help="Steps between two minings of negatives.")
@click.option("--checkpoint-every", type=int, help="Steps between two checkpoints.  [default: at each refresh]")
@click.option("--no-dropout", is_flag=True, help="Switch the backbone's dropout off.")
@text_options
@tensorboard_option
@device_option
def command(
    dataset: str,
    split: str,
    dev_split: str | None,
    model: str,
    head: Literal["ance"] | None,
    layers: int | None,
    out: Path,
    negatives: str,
    depth: int,
    draw: Any,
    skip: int,
    margin: float | None,
    filter_teacher: str | None,
    filter_teacher_margin: float,
    rotation: int,
    inferencers: int | None,
    inferencer_devices: str | None,
    reuse: str | None,
    passages: str,
    temperature: float | None,
    negatives_per_query: int,
    warm_up: str | None,
    warm_up_until: int | None,
    loss: Any,
    teacher: str | None,
    dimensions: str | None,
    grad_cache: bool,
    no_dropout: bool,
    query_length: int | None,
    passage_length: int | None,
    text: tuple[str, ...],
    tensorboard: bool,
    device: str | None,
    **settings: Any,
) -> None:
    """Train a dense retriever. Broken off, the same command goes on and ends the same.

    Negatives are ance: the corpus is encoded with the model as it is, searched with the training queries, and negatives are drawn from what
    it ranks first (uniformly; top: the first of them; score: by the softmax of their scores); again every --refresh-every steps, while
    training waits, or, with --inferencers, in processes of their own with the newest checkpoint, while it goes on. Or random, bm25, the
    path of a run file, or a system as `ance-ir eval` takes it. Or in-batch: the other documents of the batch; nce: of these the one that
    scores highest. mix(2*bm25, random) mixes them by weight; mix(in-batch, bm25) adds a drawn one to those of the batch.

    torchrun --nproc-per-node 4 -m ance_ir train … trains with four processes; --batch-size is that of all together.

    Losses are pairwise-nll, each negative against its positive; nll, all of them at once; bce; hinge; and from a --teacher margin-mse
    and kl.
    """
    import torch
    from tqdm.auto import tqdm

    from ance_ir import CrossEncoder, DenseEncoder, load_dataset
    from ance_ir.indexes import parse_passages
    from ance_ir.training import TrainingSettings
    from ance_ir.workflows import Mining, threads_per_process, train_on_dataset

    world, device = join(device)
    devices = _devices(inferencers, inferencer_devices)
    if devices and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads_per_process(devices))
    told = text_settings(query_length, passage_length, text)
    encoder = DenseEncoder.from_pretrained(model, head=head, seed=settings["seed"], device=device, layers=layers, **told)
    if temperature is None:
        temperature = 0.05 if encoder.similarity == "cosine" else 1.0
    options = TrainingSettings(negatives=negatives_per_query, temperature=temperature, dropout=not no_dropout, **settings)
    trained = train_on_dataset(
        load_dataset(dataset),
        encoder,
        out,
        options,
        negatives=negatives,
        warm_up=warm_up,
        warm_up_until=warm_up_until,
        loss=loss,
        teacher=CrossEncoder.from_pretrained(teacher, device=device) if teacher else None,
        dimensions=numbers(dimensions or ""),
        grad_cache=grad_cache,
        mining=Mining(
            draw=draw,
            rotation=rotation,
            skip=skip,
            margin=margin,
            teacher=filter_teacher,
            teacher_margin=filter_teacher_margin,
            reuse=reuse,
        ),
        inferencers=devices,
        world=world,
        passages=parse_passages(passages),
        depth=depth,
        split=split,
        dev_split=dev_split,
        say=tqdm.write,
        verbose=True,
        tensorboard=tensorboard,
    )
    world.leave()
    if not world.leads:
        return
    click.echo(f"trained model: {trained.name}")
    click.echo(f"next: ance-ir index --dataset {dataset} --model {out} --passages {passages} --out {out}.ance")


def _devices(inferencers: int | None, devices: str | None) -> list[str | None] | None:
    """The devices of the inferencers to start; ``None`` where there are to be none."""
    if devices is not None:
        named = [device.strip() for device in devices.split(",")]
        if inferencers is not None and inferencers != len(named):
            raise click.UsageError(f"{inferencers} inferencers and {len(named)} devices for them do not agree")
        return list(named)
    if inferencers is not None and inferencers < 0:
        raise click.UsageError(f"--inferencers is at least 0, not {inferencers}")
    return None if inferencers is None else [None] * inferencers
