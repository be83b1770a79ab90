"""Options of the commands that serve systems, and what they open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import DATASET, UserPath, dataset_options, device_option, precision_option

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision
    from ance_ir.serve.server import Server


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that ``open_server`` takes."""
    options = (
        dataset_options(required=True, help=f"What to search. {DATASET}"),
        click.option(
            "--system",
            "systems",
            multiple=True,
            required=True,
            metavar="[NAME=]SYSTEM",
            help="As `ance-ir eval` takes it; may be repeated.",
        ),
        click.option(
            "--pipelines",
            "own",
            type=UserPath(exists=True, dir_okay=False),
            metavar="FILE.py",
            help="Your own pipelines, as for `ance-ir eval`.",
        ),
        click.option("--model", help="Where the indexes' model is now, if it has moved."),
        precision_option,
        device_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def need_packages(*packages: str) -> None:
    """Refuse to go on without the packages of the extra ``serve``.

    Raises:
        MissingDependencyError: one is not installed.
    """
    from ance_ir.optional import optional

    for package in packages:
        optional(package, needed_for="serving", remedy="pip install 'ance_ir[serve]'")


def open_server(
    dataset: str,
    systems: tuple[str, ...],
    own: Path | None,
    model: str | None,
    precision: Precision | None,
    device: str | None,
) -> Server:
    """Open systems over a dataset."""
    from ance_ir import load_dataset
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.serve.server import Server
    from ance_ir.serve.systems import open_systems

    source = load_dataset(dataset)
    pipelines = load_pipelines(own, source) if own else {}
    shared: Any = {"pipelines": pipelines, "device": device, "model": model, "precision": precision, "verbose": True}
    return Server(source, open_systems(source, systems, **shared))
