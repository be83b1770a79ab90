"""Options of the commands that serve systems, and what they open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import DATASET, UserPath, dataset_options, device_option, named_columns, precision_option

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision
    from ance_ir.serve.server import Server


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that ``open_server`` takes."""
    options = (
        click.argument("folder", metavar="[FOLDER]", required=False, callback=named_columns),
        dataset_options(help=f"What to search, if it is not FOLDER. {DATASET}"),
        click.option(
            "--system",
            "systems",
            multiple=True,
            metavar="[NAME=]SYSTEM",
            help="As `ance-ir eval` takes it; may be repeated.  [default: bm25, and dense=ance[…] as soon as its index is built]",
        ),
        click.option(
            "--pipelines",
            "own",
            type=UserPath(exists=True, dir_okay=False),
            metavar="FILE.py",
            help="Your own pipelines, as for `ance-ir eval`.",
        ),
        click.option(
            "--model", help="Where the indexes' model is now, if it has moved; without --system the encoder, by default all-MiniLM-L6-v2."
        ),
        precision_option,
        device_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def need_packages() -> None:
    """Refuse to go on without the packages of the extra ``serve``.

    Raises:
        MissingDependencyError: one is not installed.
    """
    from ance_ir.optional import optional

    for module in ("fastapi", "mcp", "prometheus_client", "uvicorn"):
        optional(module, needed_for="serving", remedy="pip install 'ance_ir[serve]'")


def open_server(
    folder: str | None,
    dataset: str | None,
    systems: tuple[str, ...],
    own: Path | None,
    model: str | None,
    precision: Precision | None,
    device: str | None,
) -> Server:
    """Open systems over a dataset; without any, BM25 now and a dense system in the background.

    Raises:
        UsageError: not exactly one of ``folder`` and ``dataset`` is given.
    """
    name = folder or dataset
    if name is None or (folder and dataset):
        raise click.UsageError("name what to search: a FOLDER, or a dataset with --dataset")
    from ance_ir import load_dataset
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.serve.pending import AT_ONCE, MODEL, dense_later
    from ance_ir.serve.server import Server
    from ance_ir.serve.systems import open_systems

    source = load_dataset(name)
    pipelines = load_pipelines(own, source) if own else {}
    shared: Any = {"pipelines": pipelines, "device": device, "precision": precision}
    server = Server(source, open_systems(source, systems or [AT_ONCE], model=model, verbose=True, **shared))
    if not systems:  # the page shows how far it is; on the standard error there is the log by then
        server.expect(dense_later(source, model or MODEL, **shared))
    return server
