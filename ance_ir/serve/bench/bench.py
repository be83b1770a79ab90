"""The server next to the library: latency, throughput, memory, and how long it takes to start."""

from __future__ import annotations

import itertools
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyterrier as pt
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import EvaluationError
from ance_ir.eval.bench.figures import Figure
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import Systems
from ance_ir.processes import process_pool
from ance_ir.serve.bench.load import Asked, Load, ask
from ance_ir.serve.bench.material import COLLECTION, INDEX, own_cache, write_material
from ance_ir.serve.bench.running import running

CLIENTS = 32
"""As many as a batch of the library has queries."""
FEW = 1000
"""Documents of the collection with whose start that with all of them is compared."""
_ALONE = 50
"""Queries of a turn that are asked one after another."""
_K = 10


def bench_serve(
    dataset: Dataset,
    model: str,
    *,
    documents: int = 20_000,
    length: int = 128,
    layers: int | None = None,
    seconds: float = 10,
    rounds: int = 3,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Measure ``ance-ir serve`` in a process of its own, under load from another one, in turns with the same systems in this process.

    Args:
        dataset: whose first documents, which come again under other docnos where it has too few, and queries.
        model: the dense model.
        documents: how many are indexed.
        length: tokens that a document is cut to; each is one passage.
        layers: of the model that are kept; ``None``: all.
        seconds: that 32 clients ask in a turn.
        rounds: that count; one before them does not.
        device: where the model computes.
        verbose: show progress.

    Returns:
        A row for each figure; see ``Figure``. Both give the docnos and scores of ten documents of each query. What the server takes more
        for their titles and snippets, which are no part of the library's call, is a figure of its own.

    Raises:
        EvaluationError: a request failed, or the server did not become ready.
    """
    queries = dataset.queries(dataset.splits[0])["query"].tolist()
    with tempfile.TemporaryDirectory() as name, own_cache(Path(name, "cache")):
        folder = Path(name)
        DenseEncoder.from_pretrained(model, device=device, layers=layers, passage_length=length).save(folder / "model")
        encoder = DenseEncoder.from_pretrained(folder / "model", device=device)
        many, few = (
            write_material(folder / place, dataset, encoder, count, verbose=verbose) for place, count in (("many", documents), ("few", FEW))
        )
        pipelines = Systems(load_dataset(many / COLLECTION), device=device).parse_all(_texts(many))
        figures = [*_compared(pipelines, queries, _arguments(many, device), seconds, rounds, verbose=verbose)]
        figures.append(_starts(_arguments(few, device), _arguments(many, device), documents, rounds))
    return pd.DataFrame([figure.row() for figure in figures]).drop(columns="table")


def _texts(folder: Path) -> list[str]:
    return ["bm25", f"dense={folder / INDEX}"]


def _arguments(folder: Path, device: str | None) -> list[str]:
    systems = [argument for text in _texts(folder) for argument in ("--system", text)]
    return ["--dataset", str(folder / COLLECTION), *systems, *(["--device", device] if device else [])]


@dataclass(kw_only=True)
class _Seen:
    """What a system did in the rounds: milliseconds of queries asked one after another (``shown``: with snippets), and queries a second."""

    library: list[float] = field(default_factory=list)
    library_rates: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)


def _compared(
    pipelines: Mapping[str, pt.Transformer], queries: Sequence[str], arguments: Sequence[str], seconds: float, rounds: int, *, verbose: bool
) -> Iterator[Figure]:
    seen = {name: _Seen() for name in pipelines}
    memory: list[float] = []
    port = _free_port()
    with running(arguments, port) as server, process_pool(1, _begin, (), [ask.__module__]) as pool:
        for counted in tqdm(range(rounds + 1), desc="rounds", disable=not verbose):
            for name, pipeline in pipelines.items():
                one = _turn(name, pipeline % _K, queries, port, pool, seconds)
                if counted:
                    for kept, found in zip(vars(seen[name]).values(), vars(one).values(), strict=True):
                        kept += found
            memory.append(server.memory())
    for name, one in seen.items():
        yield from _figures(name, one)
    yield Figure(
        table="serve", case="server", what="MiB at the end", value=memory[-1], ratio=memory[-1] / memory[0], to="after a round", most=1.05
    )


def _turn(name: str, pipeline: pt.Transformer, queries: Sequence[str], port: int, pool: ProcessPoolExecutor, seconds: float) -> _Seen:
    """A turn of a system: in the library, one by one and in batches, then in the server."""
    shown = [{"query": query, "k": _K} for query in queries]
    bodies = [{**body, "snippets": False} for body in shown]
    path = f"/v1/{name}/search"
    endless = itertools.cycle(queries)
    library = [_milliseconds(pipeline, [next(endless)]) for _ in range(_ALONE)]
    batches: list[float] = []
    began = time.perf_counter()
    while not batches or time.perf_counter() - began < seconds / 2:
        batches.append(_milliseconds(pipeline, [next(endless) for _ in range(CLIENTS)]))
    alone, with_snippets = (
        pool.submit(ask, Asked(port=port, path=path, bodies=asked, requests=_ALONE)).result() for asked in (bodies, shown)
    )
    together = pool.submit(ask, Asked(port=port, path=path, bodies=bodies, clients=CLIENTS, seconds=seconds)).result()
    for load in (alone, with_snippets, together):
        if load.statuses.keys() != {200}:
            raise EvaluationError(f"requests to {path} were expected to be answered with 200, found {dict(load.statuses)}")
    rate = 1000 * CLIENTS / statistics.median(batches)
    return _Seen(library=library, library_rates=[rate], server=alone.milliseconds, shown=with_snippets.milliseconds, loads=[together])


def _milliseconds(pipeline: pt.Transformer, queries: Sequence[str]) -> float:
    frame = pd.DataFrame({"qid": [*map(str, range(len(queries)))], "query": queries})
    began = time.perf_counter()
    pipeline.transform(frame)
    return 1000 * (time.perf_counter() - began)


def _figures(name: str, seen: _Seen) -> list[Figure]:
    library, server, shown = (statistics.median(times) for times in (seen.library, seen.server, seen.shown))
    ours, theirs = (statistics.median(rates) for rates in ([load.rate for load in seen.loads], seen.library_rates))
    milliseconds = np.concatenate([load.milliseconds for load in seen.loads])
    middle, last = np.percentile(milliseconds, [50, 99]).tolist()
    dense = name != "bm25"
    alone, together = f"{name}, 1 client", f"{name}, {CLIENTS} clients"
    return [
        Figure(table="serve", case=alone, what="ms, median", value=server, ratio=server - library, to="ms more than the library", most=3),
        Figure(table="serve", case=alone, what="ms with snippets", value=shown, ratio=shown - server, to="ms more than without"),
        Figure(
            table="serve",
            case=together,
            what="queries/s",
            value=ours,
            ratio=ours / theirs,
            to=f"of the library's, {CLIENTS} at a time",
            least=0.8 if dense else None,
        ),
        Figure(table="serve", case=together, what="ms, 99 of 100", value=last, ratio=last / middle, to="of the median", most=5),
    ]


def _starts(few: Sequence[str], many: Sequence[str], documents: int, rounds: int) -> Figure:
    """How much longer the start takes with many documents than with few."""
    port = _free_port()
    seconds: dict[str, list[float]] = {"few": [], "many": []}
    for _ in range(rounds):
        for name, arguments in (("few", few), ("many", many)):
            with running(arguments, port) as server:
                seconds[name].append(server.started)
    shorter, longer = (statistics.median(seconds[name]) for name in ("few", "many"))
    more = f"s more than with {FEW:,} documents"
    return Figure(table="serve", case=f"start, {documents:,} documents", what="s", value=longer, ratio=longer - shorter, to=more, most=0.5)


def _begin() -> None:
    """Of the process that puts load on the server: it needs nothing."""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
