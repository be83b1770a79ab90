"""``ance-ir search``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import DATASET, UserPath, device_option, index_argument, precision_option
from ance_ir.registries import FAISS_PARTS

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision

logger = logging.getLogger(__name__)

EXAMPLE = """
\b
Example:
  ance-ir search stdlib.ance "parse a date from a string" --dataset python-stdlib
"""


@click.command("search", short_help="Search an index", epilog=EXAMPLE)
@index_argument
@click.argument("queries", nargs=-1)
@click.option("--queries", "file", type=UserPath(exists=True, dir_okay=False), help="A file of qid, tab, query.")
@click.option("-k", "--num-results", type=click.IntRange(min=1), default=10, show_default=True, help="Documents a query.")
@click.option("--dataset", metavar="D", help=f"Show the documents' texts. {DATASET}")
@click.option("--out", type=UserPath(dir_okay=False), help="Write a TREC run there instead of showing the results.")
@click.option("--model", help="The present name or folder of the index's model, if it has moved.")
@click.option(
    "--backend",
    metavar="BACKEND",
    default="exact",
    show_default=True,
    help="Search method: exact, tuned, or a family of Faiss indexes with options, such as ivf+sq8,nprobe=64; its parts are "
    f"{', '.join(FAISS_PARTS)} (docs/indexes.md).",
)
@click.option(
    "--aggregation",
    metavar="max|mean|sum:N|first",
    default="max",
    show_default=True,
    help="How a document is scored by its passages; sum:N: the N best.",
)
@precision_option
@device_option
def command(
    index: Path,
    queries: tuple[str, ...],
    file: Path | None,
    num_results: int,
    dataset: str | None,
    out: Path | None,
    model: str | None,
    backend: str,
    aggregation: str,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Search INDEX with QUERIES, or with those of a file."""
    import pandas as pd

    from ance_ir import load_dataset
    from ance_ir.datasets.frames import queries_frame
    from ance_ir.datasets.parsing import read_queries
    from ance_ir.errors import DatasetError
    from ance_ir.eval import write_run
    from ance_ir.indexes import AnceIndex
    from ance_ir.notices import examples

    if bool(queries) == (file is not None):
        raise click.UsageError("give queries, or a file of queries with --queries")
    frame = (
        queries_frame(read_queries(file))
        if file
        else pd.DataFrame({"qid": [str(i + 1) for i in range(len(queries))], "query": list(queries)})
    )
    if frame.empty:
        raise DatasetError(f"{file} holds no queries")
    blank = frame["qid"][frame["query"].str.strip() == ""]
    if len(blank):
        logger.warning("%d of %d queries are empty (%s); their results are meaningless", len(blank), len(frame), examples(blank))
    opened = AnceIndex(index)
    encoder = opened.model(model, device, precision)
    results = opened.retriever(encoder, num_results, backend=backend, aggregation=aggregation).transform(frame)
    if out is not None:
        write_run(results, out, "ance_ir")
        click.echo(f"{len(results):,} results of {len(frame):,} queries in {out}")
        return
    if dataset is not None:
        results = load_dataset(dataset).text_loader(["title", "text"]).transform(results)
    for qid, query in zip(frame["qid"], frame["query"], strict=True):
        click.echo(f"\n{qid}: {query}")
        for row in results[results["qid"] == qid].to_dict("records"):
            text = " ".join(f"{row.get('title', '')} {row.get('text', '')}".split())
            click.echo(f"{row['rank'] + 1:4d}  {row['score']:8.4f}  {row['docno']}" + (f"  {text[:120]}" if text else ""))
