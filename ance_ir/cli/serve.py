"""``ance-ir serve``."""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from ance_ir.cli._serving import need_packages, open_server, serving_options

logger = logging.getLogger(__name__)

EXAMPLE = """
\b
Example:
  ance-ir serve my-folder
  ance-ir serve --dataset python-stdlib --system bm25 --system dense=stdlib.ance
  ance-ir serve --dataset D --system "cascade=bm25 % 100 >> x.ance >> runs/bert" --port 8081
"""


@click.command("serve", short_help="Serve systems: search page, HTTP API", epilog=EXAMPLE)
@serving_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to listen at; 0: any that is free.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="Origin of pages elsewhere that may ask (CORS); may be repeated.")
def command(host: str, port: int, origins: tuple[str, ...], **options: Any) -> None:
    """Serve systems over a dataset: a search page, an HTTP API, and the Model Context Protocol at /mcp.

    FOLDER is a folder of text files, or any other collection, as for --dataset. Without --system it is searched with BM25 at once, and by
    a dense encoder as soon as its index is built; the page shows how far that is. If interrupted, the same command goes on.

    Systems are those of `ance-ir eval`; the address /docs describes the API. An index that changes is taken over as it is then. SIGTERM and
    Ctrl-C let requests in flight end.

    Only this machine reaches the server, unless --host says otherwise. If the environment variable ANCE_IR_TOKEN is set, requests must
    bring it: "Authorization: Bearer TOKEN". Each request is a line of JSON in the log, without what was asked for; counts for Prometheus
    are at /metrics.
    """
    need_packages()
    from ance_ir.serve.app import create_app
    from ance_ir.serve.guard import is_loopback
    from ance_ir.serve.running import address_of, listen, run

    with listen(host, port) as listening:
        token = os.environ.get("ANCE_IR_TOKEN") or None
        if not is_loopback(host) and token is None:
            logger.warning("%s is reached from other machines, and no token is asked for: set ANCE_IR_TOKEN to one", host)
        server = open_server(**options)
        app = create_app(server, token=token, hosts=() if is_loopback(host) else None, origins=origins)
        click.echo(f"serving {', '.join(server.systems)} at {address_of(listening)}", err=True)
        run(app, listening)
