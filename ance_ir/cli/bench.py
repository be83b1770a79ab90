"""``ance-ir bench``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli import _stage_benches
from ance_ir.cli._options import DATASET, NEIGHBOURS, PRECISIONS, UserPath, dataset_options, device_option, only

if TYPE_CHECKING:
    import pandas as pd

    from ance_ir.eval.bench.figures import Figure

EXAMPLE = """
\b
Example:
  ance-ir bench search --vectors 20000
  ance-ir bench search --vectors 1000000 --device cuda
  ance-ir bench ann --dataset msmarco-mini --documents 20000 --layers 0
  ance-ir bench adaptive --dataset msmarco-mini --precision bfloat16
  ance-ir bench graph --vectors 1000000 --backend ivf
  ance-ir bench sparse --dataset vaswani
  ance-ir bench encode --dataset vaswani --dataset msmarco-mini --format markdown
  ance-ir bench ingest --dataset msmarco-mini --workers 2
  ance-ir bench pipeline --documents 500 --queries 4
  ance-ir bench train --dataset msmarco-mini --rounds 5
  ance-ir bench mine --dataset msmarco-mini --layers 0 --hn-mine FlagEmbedding/scripts/hn_mine.py
  ance-ir bench serve --documents 20000 --seconds 10
  ance-ir bench gpu --out figures.jsonl
  ance-ir bench units
"""


@click.command(
    "bench",
    short_help="Measure search, adaptive and sparse retrieval, encoding, pipelines, training, mining, the server, a GPU, units of work",
    epilog=EXAMPLE,
)
@click.argument(
    "what",
    type=click.Choice(
        ["search", "ann", "adaptive", "graph", "sparse", "encode", "ingest", "pipeline", "train", "mine", "serve", "gpu", "units"]
    ),
)
@click.option("--vectors", type=click.IntRange(min=1000), default=100_000, show_default=True, help="search, graph, units: vectors.")
@dataset_options(
    "datasets",
    multiple=True,
    default=["python-stdlib"],
    show_default=True,
    help=f"All but search: the documents' dataset; encode: may be repeated. {DATASET}",
)
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    help="ann, encode, ingest, pipeline, serve, units: the first of each dataset.  [default: 1,000; ingest, serve: 20,000; ann: 100,000]",
)
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="ingest: processes that tokenise; 0: a thread.")
@click.option("--length", type=click.IntRange(min=3), default=128, show_default=True, help="All but search: tokens of a text, at most.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="All but search: a folder or a hub name.")
@click.option("--reranker", help="pipeline: a folder or a hub name.  [default: the model, with a fresh head]")
@click.option("--queries", type=click.IntRange(min=1), help="pipeline, ann, graph: number of queries.  [default: 8; ann: 500; graph: 200]")
@click.option("--neighbours", type=NEIGHBOURS, default=16, show_default=True, help="adaptive, graph: of a document.")
@click.option(
    "--backend",
    help="pipeline: what searches the vectors; graph: what finds neighbours (docs/indexes.md).  [default: hnsw; graph: exact]",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="encode: a precision to measure in addition to float32; may be repeated; adaptive: that of encoding.  "
    "[default: all available; adaptive: float32]",
)
@click.option("--split", help="train, mine, ann, adaptive, sparse: the queries.  [default: train; ann, adaptive, sparse: the first]")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="train: queries of a step.")
@click.option("--steps", type=click.IntRange(min=2), default=4, show_default=True, help="train: of a turn; the first does not count.")
@click.option("--depth", type=click.IntRange(min=1), default=100, show_default=True, help="mine, ann: documents of a ranking.")
@click.option("--recall", type=click.FloatRange(0, 1), default=0.95, show_default=True, help="ann: share of the exact ones to be found.")
@click.option(
    "--contender", "contenders", multiple=True, help="ann: one of the table's; may be repeated.  [default: all that are installed]"
)
@click.option("--negatives-per-query", type=click.IntRange(min=1), default=7, show_default=True, help="mine: drawn from these.")
@click.option(
    "--layers",
    type=int,
    metavar="N",
    help="ann, adaptive, train, mine, serve, units: keep only the first N layers of the model; 0: its embeddings alone.",
)
@click.option(
    "--hn-mine",
    "script",
    type=UserPath(exists=True, dir_okay=False),
    metavar="FILE",
    help="mine: FlagEmbedding's scripts/hn_mine.py, which is run; without it that miner does not take part.",
)
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="units: where to write them.  [default: in the cache, for all later plans and estimates]  gpu: a file that gets a line of JSON "
    "for each figure as it comes.",
)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10, show_default=True, help="serve: that clients ask in a turn.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds that count.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="Of the table.")
@device_option
def command(what: str, form: str, **options: Any) -> None:
    """Measure search, encoding, training and mining against the alternatives, and what the parts of a pipeline cost.

    The contenders take turns in each round, and the medians of the rounds are shown. search: milliseconds, ours divided by the best of the
    others, Faiss divided by ours; on a GPU next to torch with vectors that are there. ann: approximate search by ours, Faiss, hnswlib and
    usearch, with the effort that finds --recall of the exact hits. adaptive: reranking by vectors with and without neighbours, and what a
    query costs. graph: building a corpus graph of random vectors, and searching with it. sparse: indexes whose weights have fewer and
    fewer bits; of a model that is no sparse encoder, BM25's weights of its tokens. encode, ingest, mine: a first round does not count.
    ingest: from documents to vectors on disk with a model that costs nothing. pipeline: the paper's efficiency table, with its figures.
    docs/benchmarks.md explains the columns. gpu: encoding, search and training on a card, next to what it could do, with bars. serve:
    `ance-ir serve` under load from another process, next to the same systems in Python, with bars (docs/serve.md).
    units: what one unit of each kind of work costs on this machine, for `ance-ir plan`.
    """
    defaults = {**_DEFAULTS, **_DEFAULTS_OF.get(what, {})}
    title, found = _BENCHES[what](**{name: defaults.get(name) if value is None else value for name, value in options.items()})
    if form == "json":
        click.echo(found.to_json(orient="records", indent=2, force_ascii=False))
        return
    from ance_ir.eval import Table

    columns = ([_cell(value, measure="@" in name) for value in found[name]] for name in found.columns)
    table = Table(header=list(found.columns), rows=[*zip(*columns, strict=True)])
    click.echo(f"{title}\n\n{table.to_text() if form == 'text' else table.to_markdown()}")


_DEFAULTS = {"documents": 1000, "queries": 8, "split": "train", "backend": "hnsw"}
_DEFAULTS_OF: Mapping[str, Mapping[str, Any]] = {
    "adaptive": {"split": None},
    "ann": {"documents": 100_000, "queries": 500, "split": None},
    "graph": {"queries": 200, "backend": "exact"},
    "ingest": {"documents": 20_000},
    "sparse": {"split": None},
    "serve": {"documents": 20_000},
}


def _search(*, vectors: int, rounds: int, device: str | None, **_: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir.eval.bench import bench_device_search, bench_search, left_out
    from ance_ir.models.compute.device import find_device

    if device is not None and (place := find_device(device)).type != "cpu":
        title = f"exact search on {device}, {vectors:,} vectors, median milliseconds of {rounds} rounds"
        return title, bench_device_search(place, vectors=vectors, rounds=rounds, verbose=True)
    title = f"exact search, {vectors:,} vectors, median milliseconds of {rounds} rounds{left_out()}"
    return title, bench_search(vectors=vectors, rounds=rounds, verbose=True)


def _encode(
    *, datasets: tuple[str, ...], model: str, documents: int, length: int, rounds: int, precisions: Any, device: str | None, **_: Any
) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_encode

    title = f"encoding the first {documents:,} documents, {length} tokens, {model}, medians of {rounds} rounds"
    shared: Any = {"documents": documents, "length": length, "rounds": rounds, "device": device, "verbose": True}
    return title, bench_encode([*map(load_dataset, datasets)], model, precisions=precisions or None, **shared)


def _ingest(
    *, datasets: tuple[str, ...], model: str, documents: int, length: int, workers: int, rounds: int, device: str | None, **_: Any
) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_ingest

    dataset = load_dataset(only(datasets, "ingest"))
    shared: Any = {"documents": documents, "length": length, "workers": workers, "rounds": rounds, "device": device}
    about = f"the first {documents:,} documents, {length} tokens, {model} without its model, medians of {rounds} rounds"
    return f"{dataset.name}, {about}", bench_ingest(dataset, model, **shared)


_ANN = ("documents", "queries", "split", "recall", "contenders", "length", "layers", "rounds", "device")


def _ann(*, datasets: tuple[str, ...], model: str, depth: int, **options: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_ann

    dataset = load_dataset(only(datasets, "ann"))
    found = bench_ann(dataset, model, k=depth, verbose=True, **{name: options[name] for name in _ANN})
    about = "the first {documents:,} documents, {queries:,} queries, recall@{k} of {recall:g}, medians of {rounds} rounds"
    return f"{dataset.name}, {model}, {about.format(k=depth, **options)}", found


_PIPELINE = ("reranker", "documents", "queries", "length", "backend", "rounds", "device")
_TRAIN = ("split", "batch_size", "length", "layers", "steps", "rounds", "device")
_MINE = ("split", "depth", "length", "layers", "rounds", "script", "device")


def _pipeline(*, datasets: tuple[str, ...], model: str, **options: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_pipeline

    dataset = load_dataset(only(datasets, "pipeline"))
    found = bench_pipeline(dataset, model, verbose=True, **{name: options[name] for name in _PIPELINE})
    about = "{documents:,} documents, {length} tokens, {model}, {backend}, medians of {rounds} rounds".format(model=model, **options)
    return f"{dataset.name}, the first {about}", found


def _train(*, datasets: tuple[str, ...], model: str, **options: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_train

    dataset = load_dataset(only(datasets, "train"))
    found = bench_train(dataset, model, **{name: options[name] for name in _TRAIN})
    about = "seconds of a step: {batch_size} queries, in-batch and 1 random negative each, {length} tokens, medians of {rounds} rounds"
    return f"{dataset.name}, {options['split']}, {model}, {about.format(**options)}", found


def _mine(*, datasets: tuple[str, ...], model: str, negatives_per_query: int, **options: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.workflows.hard_negatives.bench import bench_mine

    dataset = load_dataset(only(datasets, "mine"))
    found = bench_mine(dataset, model, negatives=negatives_per_query, verbose=True, **{name: options[name] for name in _MINE})
    about = "{split}: {negatives} negatives from the first {depth} documents, medians of {rounds} rounds"
    left_out = "" if options["script"] else ", without FlagEmbedding (--hn-mine)"
    return f"{dataset.name}, {about.format(negatives=negatives_per_query, **options)}{left_out}", found


_SERVE = ("documents", "length", "layers", "seconds", "rounds", "device")


def _serve(*, datasets: tuple[str, ...], model: str, **options: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir import load_dataset
    from ance_ir.cli._serving import need_packages

    need_packages()
    from ance_ir.serve.bench import bench_serve

    dataset = load_dataset(only(datasets, "serve"))
    found = bench_serve(dataset, model, verbose=True, **{name: options[name] for name in _SERVE})
    about = "the first {documents:,} documents, {length} tokens, {model}, 10 documents a query, medians of {rounds} rounds"
    return f"{dataset.name}, {about.format(model=model, **options)}", found


def _gpu(*, out: Path | None, device: str | None, **_: Any) -> tuple[str, pd.DataFrame]:
    from ance_ir.eval.bench import bench_gpu

    def report(figure: Figure) -> None:
        click.echo("  ".join(filter(None, map(_cell, figure.row().values()))), err=True)

    return "a GPU, next to its own rates and to what others do on it", bench_gpu(device, out=out, report=report)


def _units(*, datasets: tuple[str, ...], model: str, out: Path | None, **options: Any) -> tuple[str, pd.DataFrame]:
    import pandas as pd

    from ance_ir import load_dataset
    from ance_ir.workflows.planning.machine import own_units
    from ance_ir.workflows.planning.units import measure_units

    path = out or own_units()
    asked = {name: options[name] for name in ("documents", "vectors", "layers", "device")}
    found = measure_units(load_dataset(only(datasets, "units")), model, verbose=True, **asked)
    found.write(path)
    rows = [{"of one": cost.unit, "seconds": cost.seconds, "bytes": cost.bytes} for cost in found.costs.values()]
    return f"{found.describes}; written to {path}", pd.DataFrame(rows)


_BENCHES: Mapping[str, Callable[..., tuple[str, pd.DataFrame]]] = {
    "search": _search,
    "ann": _ann,
    "adaptive": _stage_benches.adaptive,
    "graph": _stage_benches.graph,
    "sparse": _stage_benches.sparse,
    "encode": _encode,
    "ingest": _ingest,
    "pipeline": _pipeline,
    "train": _train,
    "mine": _mine,
    "serve": _serve,
    "gpu": _gpu,
    "units": _units,
}


def _cell(value: object, *, measure: bool = False) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
    if measure or 0.9 < value <= 1:
        return f"{value:.4f}"
    if 0 < abs(value) < 0.005:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
