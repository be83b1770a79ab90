"""``ance-ir index graph``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import NEIGHBOURS, device_option, index_argument

EXAMPLE = """
\b
Example:
  ance-ir index graph stdlib.ance -k 16
  ance-ir index graph large.ance --backend ivf
  ance-ir search --dataset python-stdlib --system "bm25 % 100 >> stdlib.ance[adaptive=ladr; graph=16]" "parse a date"
"""


@click.command("graph", short_help="Find the neighbours of each document, for adaptive retrieval", epilog=EXAMPLE)
@index_argument
@click.option("-k", "--neighbours", "k", type=NEIGHBOURS, default=16, show_default=True, help="Neighbours of a document.")
@click.option("--backend", default="exact", show_default=True, help="How they are found: exact, or a Faiss family (docs/indexes.md).")
@device_option
def command(index: Path, k: int, backend: str, device: str | None) -> None:
    """Build the corpus graph of INDEX, which is kept in its folder until the index changes. If interrupted, the same command goes on.

    Documents are neighbours by cosine, those of several passages by their best pair. Systems build the graph that they need on first use:
    this is to do it before, and for graphs that exact search would take too long to build.
    """
    from ance_ir.indexes import AnceIndex
    from ance_ir.models.compute.device import find_device

    graph = AnceIndex(index).corpus_graph(k, backend=backend, device=str(find_device(device)), verbose=True)
    documents = len(graph.edges_data)
    fewer = f"; {k} were asked for, there are no more" if k >= documents else ""
    click.echo(f"{graph.path}: {documents:,} documents, {min(k, documents - 1)} neighbours each{fewer}")
