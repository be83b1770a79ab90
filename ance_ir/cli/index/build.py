"""``ance-ir index build``."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import (
    UserPath,
    dataset_option,
    device_option,
    join,
    passages_help,
    precision_option,
    text_options,
    text_settings,
)

if TYPE_CHECKING:
    from ance_ir.datasets import Dataset, OnError
    from ance_ir.indexes.store.vectors import VectorType
    from ance_ir.models.compute.precision import Precision

EXAMPLE = """
\b
Example:
  ance-ir index --dataset python-stdlib --passages maxp:128,4 --out stdlib.ance
"""


@click.command("build", short_help="Encode a collection into an index; the default command", epilog=EXAMPLE)
@dataset_option
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder: a folder, a training run or a hub name.")
@click.option("--out", type=UserPath(), required=True, help="The index's folder.")
@click.option(
    "--passages",
    metavar="SCHEME",
    help=f"{passages_help()}  [default: as the documents of a published model were cut, else firstp]",
)
@click.option("--dtype", type=click.Choice(["float16", "float32"]), default="float32", show_default=True, help="How vectors are stored.")
@click.option(
    "--reuse",
    metavar="INDEX",
    help="An index of an earlier state of the collection, by the same model; only what is new is encoded.",
)
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    help="Documents that cannot be used (not JSON, not UTF-8, a repeated docno, no text): stop at the first, or skip them, now and in all "
    "later uses of this collection.  [default: the previous choice for it, else raise]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that tokenise; 0: a thread.  [default: with a GPU and many documents one for each processor, else 0]",
)
@click.option(
    "--cluster",
    metavar="ray[://HOST:PORT]",
    help="Encode on the nodes of a Ray cluster: on their GPUs, or on their cores. ray: the cluster that this machine is a node of. All "
    "nodes must see the folders of OUT and of the cache (docs/scale.md).",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing index.")
@text_options
@precision_option
@device_option
def command(
    dataset: str,
    model: str,
    out: Path,
    passages: str | None,
    dtype: VectorType,
    reuse: str | None,
    on_error: OnError | None,
    workers: int | None,
    cluster: str | None,
    overwrite: bool,
    query_length: int | None,
    passage_length: int | None,
    text: tuple[str, ...],
    precision: Precision | None,
    device: str | None,
) -> None:
    """Encode a collection into an index. If interrupted, the same command resumes; an existing index stays until the new one is complete.

    torchrun --nproc-per-node 4 -m ance_ir index … shares the work among four processes.
    """
    from ance_ir import DenseEncoder, load_dataset
    from ance_ir.indexes import AnceIndex, index_corpus, parse_passages
    from ance_ir.indexes.store.workspace import Workspace
    from ance_ir.models.dense.published import find_published
    from ance_ir.workflows.planning.estimates import announced, estimate_indexing

    space = Workspace(out, "building")
    space.check(overwrite=overwrite)
    shared = _on_cluster(cluster, device) if cluster is not None else None
    world, device = join("cpu" if shared else device)
    scheme = parse_passages(passages or find_published(model).passages)
    collection = load_dataset(dataset)
    encoder = DenseEncoder.from_pretrained(model, device=device, precision=precision, **text_settings(query_length, passage_length, text))
    store = world.lead_first(lambda: collection.store(verbose=world.leads, on_error=on_error))
    fresh = world.leads and reuse is None and not space.index.exists()
    kind, processes = shared or (encoder.device.type, world.size)
    estimate = estimate_indexing(encoder, store, scheme, device=kind, dtype=dtype, processes=processes) if fresh else None
    with announced(estimate, partial(click.echo, err=True)):
        index = index_corpus(
            out,
            encoder,
            store,
            scheme,
            dtype=dtype,
            reuse=AnceIndex(reuse) if reuse else None,
            workers=workers,
            overwrite=overwrite,
            world=world,
            cluster=cluster,
            verbose=world.leads,
        )
    world.leave()
    if not world.leads:
        return
    click.echo(f"{len(index):,} documents, {len(index.vectors):,} vectors of {index.vectors.dimension} dimensions in {out}")
    click.echo(f"next: {_next(collection, shlex.quote(dataset), out)}")


def _on_cluster(cluster: str, device: str | None) -> tuple[str, int]:
    """What a cluster computes on, and how many of it there are, once this process, which computes nothing itself, is connected."""
    from ance_ir.indexes.cluster.connection import computes_on, connect
    from ance_ir.world import started_together

    if device is not None:
        raise click.UsageError("--device does not go with --cluster, which computes on GPUs where its nodes have them")
    if started_together() > 1:
        raise click.UsageError("--cluster does not go with torchrun; start one process, Ray starts the others")
    return computes_on(connect(cluster))


def _next(collection: Dataset, dataset: str, out: Path) -> str:
    """The command to go on with: an evaluation, if there is anything to evaluate on."""
    from ance_ir.datasets import FileDataset
    from ance_ir.pipelines.systems.words import path_word

    if not isinstance(collection, FileDataset):
        judged = list(collection.splits)
    else:
        judged = [split for split in collection.splits if split in collection.parts.qrels or split in collection.parts.answers]
    if not judged:
        return f'ance-ir search {shlex.quote(str(out))} "a question" --dataset {dataset}'
    split = "" if "test" in judged else f" --split {judged[0]}"
    return f"ance-ir eval --dataset {dataset}{split} --system bm25 --system dense={path_word(out)} --baseline bm25"
