"""``ance-ir train``: its options, handed to ``ance_ir.workflows.dense``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._lora import lora_option
from ance_ir.cli._mining import candidate_options
from ance_ir.cli._options import (
    HELD_OUT,
    dev_dataset_option,
    device_option,
    join,
    layers_option,
    leave,
    listing,
    numbers,
    opened_datasets,
    or_standard_input,
    out_option,
    passages_option,
    report_options,
    settings_from,
    text_options,
    text_settings,
    training_sets_options,
)
from ance_ir.cli._recipes import announcement, completed, recipe_options, scaled
from ance_ir.cli._training import optimisation_options, selection_options
from ance_ir.registries import DISTILLATIONS, LOSSES, NEGATIVES, RECIPES

if TYPE_CHECKING:
    from fractions import Fraction

    from ance_ir.training import TrainingSettings
    from ance_ir.workflows import DenseTraining
    from ance_ir.workflows.recipes import Recipe

HELP = f"""Train a dense retriever. After an interruption, the same command resumes the run and ends with the same result.

Negatives (--negatives, and --warm-up for the initial ones) are one of

{listing(NEGATIVES)}

or dataset (the negatives that come with the training data, hard ones first), the path of a run file, or a system as `ance-ir eval` takes
it: bm25, "bm25 >> x.ance". mix(2*bm25, random) mixes sources by weight; mix(in-batch, bm25) adds a drawn document to those of the batch.

Several --dataset, with their --split and --weight in the same order, are several training sets over one corpus or more: each batch is of
one of them, and the negatives of a query come from its own corpus.

For ance the corpus is encoded with the model as it is and searched with the training queries; negatives are drawn from what ranks first:
uniformly, the top of it, or by the softmax of the scores (--draw). This is repeated every --refresh-every steps, while training waits, or,
with --inferencers, in other processes with the newest checkpoint, while training continues.

Losses (--loss):

{listing(LOSSES)}

Losses that learn from a --teacher, too:

{listing(DISTILLATIONS)}

Recipes (--recipe) set the other options as those of published models:

{listing(RECIPES)}

torchrun --nproc-per-node 4 -m ance_ir train … trains with four processes; --batch-size is that of all together.
"""
EXAMPLE = """
\b
Example:
  ance-ir train --dataset python-stdlib --out runs/x --steps 64 --refresh-every 32 \\
                --learning-rate 5e-5 --passage-length 128
"""


@click.command("train", short_help="Train a dense retriever", help=HELP, epilog=EXAMPLE)
@training_sets_options
@recipe_options
@click.option("--dev-split", metavar="SPLIT", help=f"Queries to evaluate on at each refresh, of the first --dataset; {HELD_OUT}.")
@dev_dataset_option
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder to start from: a folder or a hub name.")
@click.option("--head", type=click.Choice(["ance"]), help="Put a fresh head of the paper's models on a bare backbone.")
@layers_option
@click.option("--separate-towers", is_flag=True, help="Begin with two towers: copies of the one that queries and passages share.")
@click.option(
    "--train-tower",
    type=click.Choice(["query", "passage"]),
    help="Train one of two towers alone. With query an index of --model stays valid, and a refresh encodes no document again.",
)
@out_option
@click.option("--negatives", default="ance", show_default=True, metavar="SOURCE", help="Where negatives come from; see above.")
@click.option("--warm-up", metavar="SOURCE", help="Negatives to start with, until --warm-up-until.")
@click.option("--warm-up-until", type=int, metavar="STEP", help="When --negatives follow.  [default: at the first refresh after step 0]")
@candidate_options
@click.option(
    "--mining-backend",
    default="exact",
    show_default=True,
    metavar="BACKEND",
    help="How a refresh searches: exact, or a family of approximate search as `ance-ir search --backend` takes it (hnsw+sq8, ivf+sq8), "
    "whose share of the candidates of exact search is reported; ray[://HOST:PORT]: exact, on a cluster, which encodes the corpus as well.",
)
@click.option(
    "--rotation", type=int, default=1, show_default=True, help="Number of parts of the queries; each refresh mines for one of them."
)
@click.option("--inferencers", type=int, help="Processes that mine while training continues; 0: only those started elsewhere.")
@click.option("--inferencer-devices", metavar="DEVICE,…", help="Devices of the inferencers, e.g. cuda:1,cuda:2.")
@click.option("--reuse", metavar="INDEX", help="An index of --model over an earlier state of the corpus; encode only what is new, first.")
@passages_option
@optimisation_options
@selection_options
@click.option("--negatives-per-query", type=int, default=1, show_default=True, help="Negatives drawn for each query.")
@click.option(
    "--loss", type=click.Choice([*LOSSES, *DISTILLATIONS]), help="See above.  [default: nll with in-batch negatives, else pairwise-nll]"
)
@click.option("--teacher", metavar="MODEL", help="A cross-encoder to distil from, with --loss margin-mse or kl.")
@click.option(
    "--teacher-scores",
    metavar="dataset|FILE",
    callback=lambda ctx, param, value: value and or_standard_input(value),
    help="Scores to distil from: those that come with the training data, a TREC run, or a training file, such as `ance-ir mine --scores` "
    "writes. Pairs that have none are refused, or asked of --teacher.",
)
@click.option(
    "--teacher-temperature", type=float, default=1.0, show_default=True, metavar="T", help="The teacher's scores are divided by it."
)
@click.option(
    "--matryoshka",
    "--dimensions",
    "dimensions",
    metavar="D,…",
    callback=lambda ctx, param, value: numbers(value or ""),
    help="Also apply the loss to vectors cut to these numbers of first dimensions, e.g. 64,128,256.",
)
@click.option(
    "--matryoshka-weights",
    "dimension_weights",
    metavar="W,…",
    callback=lambda ctx, param, value: numbers(value or "", float),
    help="Of these losses, one for each of --matryoshka.  [default: 1 each, as for the whole vectors]",
)
@click.option("--grad-cache", is_flag=True, help="Encode a batch twice, in parts, so that memory does not bound its size.")
@click.option(
    "--in-batch-margin",
    type=float,
    metavar="M",
    help="Documents of the batch that score less than M below a query's positive are not among its negatives (in-batch, nce).",
)
@click.option(
    "--symmetric", is_flag=True, help="Apply the loss to each positive and the queries of its batch, too, and average (in-batch, nce)."
)
@click.option("--temperature", type=float, help="Scores are divided by it.  [default: 1 for dot products, 0.05 for cosines]")
@click.option("--refresh-every", type=int, default=1000, show_default=True, help="Steps between two refreshes of the negatives.")
@click.option("--checkpoint-every", type=int, help="Steps between two checkpoints.  [default: at each refresh]")
@lora_option
@text_options
@report_options
@device_option
def command(
    dataset: tuple[str, ...],
    recipe: Recipe | None,
    scale: Fraction | None,
    model: str,
    head: Any,
    layers: int | None,
    separate_towers: bool,
    out: Path,
    passages: str,
    query_length: int | None,
    passage_length: int | None,
    text: tuple[str, ...],
    report_to: tuple[str, ...],
    device: str | None,
    **options: Any,
) -> None:
    """Train a dense retriever."""
    from tqdm.auto import tqdm

    from ance_ir import DenseEncoder
    from ance_ir.workflows import train_on_dataset

    if recipe is not None:
        text = completed(recipe, text)
    if scale is not None:
        scaled(options, scale)
    world, device = join(device)
    if recipe is not None and world.leads:
        click.echo(announcement(recipe))
    taken = text_settings(query_length, passage_length, text)
    encoder = DenseEncoder.from_pretrained(model, fresh_head=head, seed=options["seed"], device=device, layers=layers, **taken)
    if separate_towers:
        encoder = encoder.with_separate_towers()
    how = _how(options, passages, device)
    trained = train_on_dataset(
        opened_datasets(dataset),
        encoder,
        out,
        _settings(options, encoder.similarity),
        how,
        world=world,
        say=tqdm.write,
        verbose=True,
        report_to=report_to,
    )
    following = f"ance-ir index --dataset {shlex.quote(dataset[0])} --model {out} --passages {passages} --out {out}.ance"
    leave(world, f"trained model: {trained.name}", f"next: {following}")


def _how(options: dict[str, Any], passages: str, device: str | None) -> DenseTraining:
    """What is trained on, taken out of the options; inferencers share this machine's processors."""
    import torch

    from ance_ir import CrossEncoder, load_dataset
    from ance_ir.indexes import parse_passages
    from ance_ir.workflows import DenseTraining, Mining, threads_per_process

    inferencers = _devices(options.pop("inferencers"), options.pop("inferencer_devices"))
    if inferencers and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads_per_process(inferencers))
    mining = {"teacher": "filter_teacher", "teacher_margin": "filter_teacher_margin", "backend": "mining_backend"}
    teacher, dev_dataset = options.pop("teacher"), options.pop("dev_dataset")
    return settings_from(
        DenseTraining,
        options,
        passages=parse_passages(passages),
        dev_dataset=load_dataset(dev_dataset) if dev_dataset else None,
        teacher=CrossEncoder.from_pretrained(teacher, device=device) if teacher else None,
        mining=settings_from(Mining, options, workers=None, **{name: options.pop(option) for name, option in mining.items()}),
        inferencers=inferencers,
    )


def _settings(options: dict[str, Any], similarity: str) -> TrainingSettings:
    from ance_ir.training import TEMPERATURES, TrainingSettings

    negatives, dropout, temperature = (options.pop(name) for name in ("negatives_per_query", "no_dropout", "temperature"))
    weights = options.pop("type_of_weights")
    if temperature is None:
        temperature = TEMPERATURES[similarity]
    return settings_from(TrainingSettings, options, negatives=negatives, dropout=not dropout, temperature=temperature, weights=weights)


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
