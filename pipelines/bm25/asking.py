"""What the searchers of the engines on Java share: each query by itself, in one thread or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ance_ir.java import release_thread
from ance_ir.pipelines.bm25.engine import Found

_CHUNK = 64
"""Queries that a thread answers at a time."""


def ask_each(find: Callable[[Any], tuple[list[int], list[float]]], queries: Sequence[Any], threads: int, *, verbose: bool) -> Found:
    """The results of all queries.

    Args:
        find: the numbers and scores of the documents of one.
        queries: all.
        threads: how many ask at a time.
        verbose: show progress.
    """
    with tqdm(desc="BM25", unit=" queries", total=len(queries), disable=not verbose) as bar:
        found = list(_each(find, queries, threads, bar.update))
    rows = np.repeat(np.arange(len(queries)), [len(numbers) for numbers, _ in found])
    numbers = np.array([number for numbers, _ in found for number in numbers], dtype=np.int64)
    return Found(rows, numbers, np.array([score for _, scores in found for score in scores], dtype=np.float32))


def _each(do: Callable[[Any], Any], items: Sequence[Any], threads: int, done: Callable[[int], Any]) -> Iterator[Any]:
    """The value of a function for each item, in their order."""
    if threads == 1 or len(items) == 1:
        for item in items:
            yield do(item)
            done(1)
        return

    def work(chunk: Sequence[Any]) -> list[Any]:
        try:
            return [do(item) for item in chunk]
        finally:
            if threading.current_thread() is not threading.main_thread():
                release_thread()

    size = max(1, min(_CHUNK, len(items) // threads))
    with ThreadPoolExecutor(threads) as pool:
        for answers in pool.map(work, [items[start : start + size] for start in range(0, len(items), size)]):
            yield from answers
            done(len(answers))
