"""A million vectors in bounded memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.indexes import AnceIndex
from tests.processes import CONTEXT

pytestmark = pytest.mark.large

DOCUMENTS, DIMENSION, BLOCK = 1_000_000, 384, 10_000
MIB = 1024
"""/proc/self/status counts in KiB."""


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _rows() -> Iterator[dict[str, Any]]:
    generator = np.random.default_rng(0)
    for start in range(0, DOCUMENTS, BLOCK):
        for place, vector in enumerate(generator.standard_normal((BLOCK, DIMENSION), dtype=np.float32)):
            yield {"docno": f"d{start + place}", "doc_vec": vector}


def _build(folder: Path, peak: Any) -> None:
    before = _status("VmRSS")
    AnceIndex(folder).index(_rows())
    peak.value = (_status("VmHWM") - before) / MIB


def _search(folder: Path, peak: Any) -> None:
    """Anonymous memory alone: pages of mapped files can be dropped at any time."""
    index = AnceIndex(folder)
    queries = index.vectors.get(np.arange(0, DOCUMENTS, DOCUMENTS // 64)[:64])
    searcher = index.searcher("exact", memory_budget=512 << 20)
    searcher.search(queries[:1, :], 1)  # threads and their buffers
    before, most, searched = _status("RssAnon"), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not searched.is_set():
            most = max(most, _status("RssAnon"))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    scores, rows = searcher.search(queries, 100)
    searched.set()
    watcher.join()
    assert (rows[:, 0] == np.arange(0, DOCUMENTS, DOCUMENTS // 64)[:64]).all()
    assert scores.shape == (64, 100)
    peak.value = (most - before) / MIB


def test_a_million_vectors_are_indexed_in_one_and_searched_in_half_a_gibibyte(tmp_path: Path) -> None:
    peak = CONTEXT.Value("d", -1.0)
    for job, bar in ((_build, 1024), (_search, 512)):
        process = CONTEXT.Process(target=job, args=(tmp_path / "x.ance", peak))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert 0 < peak.value < bar, f"{job.__name__} took {peak.value:.0f} MiB at its peak"
        print(f"{job.__name__}: {peak.value:.0f} MiB")
        peak.value = -1.0
