"""``ance-ir index``: one module a command."""

import click

from ance_ir.cli._lazy import DefaultGroup

__all__ = ["SUMMARIES", "command"]

EXAMPLE = """
\b
Example:
  ance-ir index --dataset python-stdlib --passages maxp:128,4 --out stdlib.ance
  ance-ir index info stdlib.ance
"""

SUMMARIES = {
    "build": "Encode a collection into an index; the default command",
    "info": "Show an index's contents, its model, and the memory it needs",
    "add": "Encode documents and add them",
    "delete": "Delete documents",
    "compact": "Free the space of deleted documents",
    "tune": "Choose how to search an index, by measuring",
    "graph": "Find the neighbours of each document, for adaptive retrieval",
    "import": "Build an index from another tool's vectors",
    "export": "Write an index in another tool's format",
    "verify": "Compare all files with their checksums",
}
"""Each command and its short help; here, so that ``ance-ir index --help`` imports none of them."""


@click.group("index", cls=DefaultGroup, package=__name__, summaries=SUMMARIES, short_help="Build and change an index", epilog=EXAMPLE)
def command() -> None:
    """Build an index of a collection, and maintain it.

    `ance-ir index --dataset D --out FOLDER` builds one; its options are shown by `ance-ir index build --help`.
    """
