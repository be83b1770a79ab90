"""Options of the commands that train, and how they become settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import F, out_option, settings_from, with_options
from ance_ir.registries import OPTIMISERS, SCHEDULES

if TYPE_CHECKING:
    from ance_ir.training import TrainingSettings

WEIGHTS = ("float32", "bfloat16")
"""Those of ``TrainingSettings``, written here so that no help imports torch."""

SELECT = ("best", "last")
"""Likewise."""


def optimisation_options(command: F) -> F:
    """The options of every training run that are called like fields of ``TrainingSettings``, ``--no-dropout``, and ``--weights``, which
    is not called ``weights`` inside: those are of the training sets.
    """
    return with_options(
        command,
        click.option("--steps", type=int, required=True, help="Optimiser steps."),
        click.option("--batch-size", type=int, default=16, show_default=True, help="Queries per batch."),
        click.option("--accumulation", type=int, default=1, show_default=True, help="Batches per step."),
        click.option("--learning-rate", type=float, default=1e-5, show_default=True, help="Peak learning rate."),
        click.option("--optimiser", type=click.Choice(list(OPTIMISERS)), default="adamw", show_default=True, help="Optimiser."),
        click.option(
            "--schedule",
            type=click.Choice(list(SCHEDULES)),
            default="linear",
            show_default=True,
            help="Schedule of the learning rate after its warm-up.",
        ),
        click.option("--warm-up-steps", type=int, default=0, show_default=True, help="Steps until the learning rate is at its peak."),
        click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Weight decay, applied to matrices only."),
        click.option("--freeze", type=int, metavar="N", help="Leave the embeddings and the first N layers as they are; 0: the embeddings."),
        click.option("--layer-decay", type=float, metavar="F", help="Each layer has F times the learning rate of the next.  [default: 1]"),
        click.option("--clip", type=float, default=1.0, show_default=True, help="Largest norm of a gradient."),
        click.option("--bfloat16", is_flag=True, help="Compute in bfloat16 where that is safe."),
        click.option(
            "--weights",
            "type_of_weights",
            type=click.Choice(WEIGHTS),
            default="float32",
            show_default=True,
            help="Type of the weights and gradients; bfloat16 takes less memory.",
        ),
        click.option("--gradient-checkpointing", is_flag=True, help="Less memory, more time."),
        click.option("--seed", type=int, default=42, show_default=True, help="Seed of all random numbers."),
        click.option("--no-dropout", is_flag=True, help="Switch the model's dropout off."),
    )


def selection_options(command: F) -> F:
    """The options of training runs that may be evaluated on dev queries, called like fields of ``TrainingSettings``."""
    return with_options(
        command,
        click.option(
            "--select",
            type=click.Choice(SELECT),
            default="best",
            show_default=True,
            help="Which model is saved, of those evaluated on the dev queries: the best by the first measure, or the last.",
        ),
        click.option("--stop-after", type=int, metavar="N", help="End the run after N evaluations without gain on the dev queries."),
    )


def pair_options(command: F) -> F:
    """The options of rerankers and readers, which read a query and a text together."""
    return with_options(
        command,
        click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="Where to start: a folder or a hub name."),
        out_option,
        click.option(
            "--negatives",
            default="bm25",
            show_default=True,
            metavar="SOURCE",
            help='random, a run file, or a system: bm25, x.ance, "bm25 >> x.ance".',
        ),
        click.option("--depth", type=int, default=100, show_default=True, help="Documents of a ranking that negatives are drawn from."),
        click.option("--negatives-per-query", type=int, default=3, show_default=True, help="Negatives drawn for each query."),
        optimisation_options,
        click.option("--checkpoint-every", type=int, default=100, show_default=True, help="Steps between two checkpoints."),
        click.option("--pair-length", type=int, metavar="N", help="Tokens of query and text together.  [default: the model's]"),
    )


def pair_settings(options: dict[str, Any]) -> TrainingSettings:
    """The settings of a run of which nothing is mined, taken out of ``options``."""
    from ance_ir.training import TrainingSettings

    negatives, dropout = options.pop("negatives_per_query"), not options.pop("no_dropout")
    told = {"weights": options.pop("type_of_weights"), "refresh_every": max(1, options["steps"])}
    return settings_from(TrainingSettings, options, negatives=negatives, dropout=dropout, **told)
