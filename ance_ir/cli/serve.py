"""``ance-ir serve``."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import DATASET, UserPath, dataset_options, device_option, precision_option

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision

logger = logging.getLogger(__name__)

EXAMPLE = """
\b
Example:
  ance-ir serve --dataset python-stdlib --system bm25 --system dense=stdlib.ance
  ance-ir serve --dataset D --system "cascade=bm25 % 100 >> x.ance >> runs/bert" --port 8081
"""


@click.command("serve", short_help="Serve systems: HTTP API", epilog=EXAMPLE)
@dataset_options(required=True, help=f"What to search. {DATASET}")
@click.option(
    "--system",
    "systems",
    multiple=True,
    required=True,
    metavar="[NAME=]SYSTEM",
    help="As `ance-ir eval` takes it; may be repeated.",
)
@click.option(
    "--pipelines", "own", type=UserPath(exists=True, dir_okay=False), metavar="FILE.py", help="Your own pipelines, as for `ance-ir eval`."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to listen at; 0: any that is free.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="Origin of pages elsewhere that may ask (CORS); may be repeated.")
@click.option("--model", help="Where the indexes' model is now, if it has moved.")
@precision_option
@device_option
def command(
    dataset: str,
    systems: tuple[str, ...],
    own: Path | None,
    host: str,
    port: int,
    origins: tuple[str, ...],
    model: str | None,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Serve systems over a dataset: an HTTP API.

    Systems are those of `ance-ir eval`; the address /docs describes the API. An index that changes is taken over as it is then. SIGTERM and
    Ctrl-C let requests in flight end.

    Only this machine reaches the server, unless --host says otherwise. If the environment variable ANCE_IR_TOKEN is set, requests must
    bring it: "Authorization: Bearer TOKEN". Each request is a line of JSON in the log, without what was asked for; counts for Prometheus
    are at /metrics.
    """
    from ance_ir import load_dataset
    from ance_ir.optional import optional
    from ance_ir.pipelines.systems import load_pipelines

    for package in ("fastapi", "uvicorn"):
        optional(package, needed_for="ance-ir serve", remedy="pip install 'ance_ir[serve]'")
    from ance_ir.serve.app import create_app
    from ance_ir.serve.guard import is_loopback
    from ance_ir.serve.running import address_of, listen, run
    from ance_ir.serve.server import Server
    from ance_ir.serve.systems import open_systems

    listening = listen(host, port)
    token = os.environ.get("ANCE_IR_TOKEN") or None
    if not is_loopback(host) and token is None:
        logger.warning("%s is reached from other machines, and no token is asked for: set ANCE_IR_TOKEN to one", host)
    source = load_dataset(dataset)
    pipelines = load_pipelines(own, source) if own else {}
    opened = open_systems(source, systems, pipelines=pipelines, device=device, model=model, precision=precision, verbose=True)
    app = create_app(Server(source, opened), token=token, hosts=() if is_loopback(host) else None, origins=origins)
    click.echo(f"serving {', '.join(system.name for system in opened)} at {address_of(listening)}", err=True)
    run(app, listening)
