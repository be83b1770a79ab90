"""``ance-ir mcp``."""

from __future__ import annotations

from typing import Any

import click

from ance_ir.cli._serving import need_packages, open_server, serving_options

EXAMPLE = """
\b
Example:
  ance-ir mcp --dataset python-stdlib --system bm25 --system dense=stdlib.ance
"""


@click.command("mcp", short_help="Serve systems to an agent, by the Model Context Protocol", epilog=EXAMPLE)
@serving_options
def command(**options: Any) -> None:
    """Serve systems over a dataset to an agent: the Model Context Protocol over standard input and output.

    Its tools are search, get_document and compare. `ance-ir serve` has the same ones over HTTP, at /mcp. An index that changes is taken
    over as it is then.
    """
    need_packages()
    import asyncio

    from ance_ir.serve.live import Live
    from ance_ir.serve.mcp import mcp_server

    server = open_server(**options)
    try:
        with Live(server):
            asyncio.run(mcp_server(server).run_stdio_async())
    finally:
        server.close()
