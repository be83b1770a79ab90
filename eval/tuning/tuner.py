"""Building and measuring ways to search an index, and choosing one."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import faiss
import numpy as np
from tqdm.auto import tqdm

from ance_ir import __version__
from ance_ir.errors import IndexingError, UsageError
from ance_ir.eval.tuning.choice import Measured, Tuning
from ance_ir.eval.tuning.measure import Reference, timed
from ance_ir.eval.tuning.trial_settings import trial_settings
from ance_ir.eval.tuning.trials import Trials
from ance_ir.files import write_json
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import TUNED, FaissSettings
from ance_ir.indexes.search.searcher import VectorSearcher
from ance_ir.indexes.store.snapshot import faiss_folder

_OVER = "the time was over"


def tune(
    index: AnceIndex,
    queries_QD: np.ndarray,
    *,
    k: int = 100,
    recall: float = 0.95,
    backends: Sequence[str] = (),
    rounds: int = 3,
    keep: bool = False,
    seconds: float = math.inf,
    device: str = "cpu",
    verbose: bool = False,
) -> Tuning:
    """Choose how to search an index, by measuring; ``index.retriever(model, backend="tuned")`` searches as chosen.

    Faiss files are built, measured, and removed at the end, except for the chosen one and those that existed before. After an
    interruption, the same call builds nothing twice.

    Args:
        index: the index.
        queries_QD: vectors of typical queries, float32 ``[Q, D]``.
        k: documents a query.
        recall: the least share of the exact first k to be found.
        backends: see ``trial_settings``.
        rounds: searches for each query alone; their median counts.
        keep: keep the Faiss files of all settings tried.
        seconds: after which nothing else is begun; a family that would take longer to build is given up. Exact search is always
            measured; families come in the order of ``backends``, or the cheapest first, and each may use its share of what is left.
        device: where to search.
        verbose: show progress.

    Raises:
        UsageError: no queries, a number out of range, or an unknown backend.
    """
    if not len(queries_QD) or rounds < 1 or not 0 <= recall <= 1 or not seconds > 0:
        found = f"{len(queries_QD)} queries, {rounds} rounds, a recall of {recall} and {seconds} seconds"
        raise UsageError(f"expected at least 1 query, at least 1 round, a recall from 0 to 1 and more than 0 seconds, not {found}")
    began = time.monotonic()
    trials = Trials(index.folder / faiss_folder(index.manifest))
    tried = trial_settings(len(index.vectors), index.vectors.dimension, k, backends)
    measured, skipped = _measure_all(index, queries_QD, k, rounds, tried, trials, seconds, device, verbose)
    tuning = Tuning(
        measured=measured,
        k=k,
        target=recall,
        queries=len(queries_QD),
        documents=len(index),
        threads=faiss.omp_get_max_threads(),
        seconds=time.monotonic() - began,
        skipped=skipped,
    )
    write_json(index.folder / TUNED, {**tuning.summary(), "ance_ir": __version__, "faiss": faiss.__version__})
    trials.end(None if keep else tuning.chosen.backend)
    return tuning


def _measure_all(
    index: AnceIndex,
    queries_QD: np.ndarray,
    k: int,
    rounds: int,
    tried: Sequence[Sequence[FaissSettings]],
    trials: Trials,
    seconds: float,
    device: str,
    verbose: bool,
) -> tuple[list[Measured], dict[str, str]]:
    """Measure exact search and all settings; returns also the families that were not built or measured, and why."""
    store = index.vectors
    count = 1 + sum(map(len, tried))
    until = time.monotonic() + seconds
    exact = index.searcher("exact", device=device)
    reference = Reference(index, queries_QD, k, exact)

    def measure(backend: str, searcher: VectorSearcher, build_seconds: float, size: int) -> Measured:
        found_QK, timing = timed(index, queries_QD, k, searcher, rounds, seconds / 2 / count)
        recall = reference.recall(found_QK)
        return Measured(backend=backend, recall=recall, timing=timing, build_seconds=build_seconds, memory_bytes=size)

    skipped: dict[str, str] = {}
    with tqdm(total=count, desc="tuning", unit=" settings", disable=not verbose) as bar:
        measured = [measure("exact", exact, 0.0, len(store) * store.dimension * store.dtype.itemsize)]
        bar.update()
        for place, members in enumerate(tried):
            family, began = members[0].family, time.monotonic()
            share = began + (until - began) / (len(tried) - place)
            bar.set_postfix_str(family)
            if began > until:
                skipped[family] = _OVER
                continue
            trials.begin(members[0])
            try:
                file = open_faiss(store, trials.folder, members[0], device=device, until=until)
            except IndexingError as error:
                skipped[family] = str(error)
                bar.update(len(members))
                continue
            for number, settings in enumerate(members):
                if time.monotonic() > (share if number else until):
                    skipped[family] = f"{_OVER} after {number} of {len(members)} settings"
                    break
                searcher = FaissSearcher(file, store, index.table.tie_order, settings, index.table.searchable)
                measured.append(measure(str(settings), searcher, file.seconds, file.size))
                bar.update()
    return measured, skipped
