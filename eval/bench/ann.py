"""Approximate search compared with the alternatives, at equal recall.

Shapes: Q queries, D dimensions, K hits.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ance_ir.choices import check_choice
from ance_ir.datasets import Dataset
from ance_ir.eval.bench.ann_contenders import CONTENDERS, build, search, seconds_of
from ance_ir.indexes import AnceIndex, FirstP, index_documents
from ance_ir.models import DenseEncoder

_FOUND_BY = {"hnswlib": "hnswlib", "usearch": "usearch"}
_STEPS = 4
"""How often the distance between an effort that is enough and one that is not is halved."""


def bench_ann(
    dataset: Dataset,
    model: str,
    *,
    documents: int = 100_000,
    queries: int = 500,
    split: str | None = None,
    k: int = 100,
    recall: float = 0.95,
    contenders: Sequence[str] = (),
    length: int = 128,
    layers: int | None = None,
    rounds: int = 3,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Build approximate indexes of the same vectors, and search each with the least effort that finds enough.

    Ours with the defaults of its families, the others with theirs; only the effort of searching is chosen. All are in memory together,
    each in a process of its own, and take turns; ours map their files.

    Args:
        dataset: whose first documents and queries.
        model: the encoder.
        documents: how many.
        queries: how many.
        split: theirs; by default the dataset's first.
        k: hits of a query.
        recall: the least share of the exact first k to be found, in the mean.
        contenders: some of ``CONTENDERS``; by default all that are installed.
        length: tokens that a text is cut to.
        layers: of the encoder that are kept; 0, its embeddings alone, is quick; ``None``: all.
        rounds: that count.
        device: where to encode.
        verbose: show progress.

    Returns:
        A row for each contender: seconds and peak MiB of building; MiB held while searching, mapped files included; the effort, and the
        recall with it; milliseconds of a query alone (the median), queries a second of all together (medians of the rounds), and the
        latter as a share of the best. NaN where the recall is not reached.

    Raises:
        UsageError: there is no such contender.
        MissingDependencyError: one that is asked for is not installed.
    """
    contenders = [check_choice("contender", one, CONTENDERS) for one in contenders] or installed()
    encoder = DenseEncoder.from_pretrained(model, device=device, layers=layers, passage_length=length)
    asked = dataset.queries(split or dataset.splits[0]).head(queries)["query"].tolist()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.ance"
        read = itertools.islice(dataset.usable_documents(), documents)
        index = index_documents(path, encoder, read, FirstP(), count=documents, verbose=verbose)
        queries_QD = encoder.encode_queries(asked)
        return _compete(contenders, index, queries_QD, k, recall, rounds, verbose=verbose)


def _compete(
    contenders: Sequence[str], index: AnceIndex, queries_QD: np.ndarray, k: int, recall: float, rounds: int, *, verbose: bool
) -> pd.DataFrame:
    """Build all, find the effort of each, then let those that reach the recall take turns."""
    exact_QK = index.searcher().search(queries_QD, k)[1]
    rows: list[dict[str, object]] = []
    races: dict[str, Callable[[bool], Future[float]]] = {}
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        for contender in tqdm(contenders, desc="building", unit=" contenders", disable=not verbose):
            process = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
            built = process.submit(build, contender, index.folder).result()

            def share(effort: int, process: ProcessPoolExecutor = process) -> float:
                return _recall(process.submit(search, queries_QD, k, effort).result(), exact_QK)

            option = CONTENDERS[contender].effort
            effort, reached = _least_effort(share, recall, 1 if option == "nprobe" else k, len(index))
            costs = {"build s": built.seconds, "peak MiB": built.peak, "MiB": built.memory}
            rows.append({"contender": contender, **costs, "effort": f"{option}={effort}", f"recall@{k}": reached})
            if reached >= recall:
                races[contender] = partial(_submitted, process, queries_QD, k, effort)
        taken: dict[str, list[tuple[float, float]]] = {one: [] for one in races}
        for _ in range(rounds):
            for one, race in races.items():
                taken[one].append((race(True).result(), race(False).result()))
    return _table(rows, taken, len(queries_QD))


def _submitted(process: ProcessPoolExecutor, queries_QD: np.ndarray, k: int, effort: int, alone: bool) -> Future[float]:
    return process.submit(seconds_of, queries_QD, k, effort, alone)


def _table(rows: Sequence[dict[str, object]], taken: dict[str, list[tuple[float, float]]], queries: int) -> pd.DataFrame:
    alone, together = ({one: statistics.median(pair[place] for pair in pairs) for one, pairs in taken.items()} for place in (0, 1))
    table = pd.DataFrame(rows)
    table["ms, 1 query"] = 1000 * table["contender"].map(alone)
    table["queries/s"] = queries / table["contender"].map(together)
    table["÷ best"] = table["queries/s"] / table["queries/s"].max()
    return table


def installed() -> list[str]:
    """The contenders that are installed."""
    return [name for name in CONTENDERS if find_spec(_FOUND_BY.get(name, "faiss"))]


def _recall(found_QK: np.ndarray, exact_QK: np.ndarray) -> float:
    return float(np.mean([np.isin(exact, found).mean() for found, exact in zip(found_QK, exact_QK, strict=True)]))


def _least_effort(share: Callable[[int], float], recall: float, least: int, most: int) -> tuple[int, float]:
    """About the least effort with which the share of the exact hits is enough, and that share; the most where none is.

    Doubled until it is enough, then the last step is halved a few times.
    """
    effort = least
    while (reached := share(effort)) < recall and effort < most:
        effort = min(2 * effort, most)
    enough, too_little = effort, effort // 2
    for _ in range(_STEPS if enough > least and reached >= recall else 0):
        middle = (enough + too_little) // 2
        if middle in (enough, too_little):
            break
        tried = share(middle)
        if tried >= recall:
            enough, reached = middle, tried
        else:
            too_little = middle
    return enough, reached
