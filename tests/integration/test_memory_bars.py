"""What each kind of work holds in memory at most: 100,000 documents, and a million."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ance_ir.datasets import DocumentStore
from ance_ir.eval.measures import Evidence, evaluate
from ance_ir.indexes import AnceIndex, FirstP, index_corpus
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder, TextSettings, Tower
from ance_ir.models.dense.static import StaticBackbone, StaticConfig
from ance_ir.training import TrainingQueries
from tests.processes import CONTEXT
from tests.tiny import WORDS, bert_tokenizer

DIMENSION, BLOCK = 384, 10_000
JUDGED, HITS = 7_000, 1_000
QUESTIONS, PASSAGES = 1_000, 100
MIB = 1024
"""/proc/self/status counts in KiB."""


@dataclass(frozen=True)
class Work:
    """A kind of work, and the MiB that it may hold in addition to what the process held before."""

    job: Callable[[Path, int], Callable[[], object]]
    bar: int


def _anonymous() -> float:
    """MiB of this process that are not pages of files, which the system drops when memory is short."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / MIB


def _texts(documents: int) -> Iterator[str]:
    rng, words = np.random.default_rng(0), np.array(WORDS)
    for start in range(0, documents, BLOCK):
        for row in words[rng.integers(len(words), size=(min(BLOCK, documents - start), 12))]:
            yield " ".join(row)


def _model() -> DenseEncoder:
    """A table of random vectors: it costs next to nothing, so a million documents take minutes."""
    tokenizer = bert_tokenizer()
    torch.manual_seed(0)
    tower = Tower(StaticBackbone(StaticConfig(len(tokenizer), DIMENSION)), pooling="mean")
    return DenseEncoder(tower, None, tokenizer, TextSettings(query_length=16, passage_length=32), name="table").eval()


def _documents(folder: Path, documents: int) -> Callable[[], object]:
    return lambda: DocumentStore.build(({"docno": f"d{n}", "text": text} for n, text in enumerate(_texts(documents))), folder / "store")


def _index(folder: Path, documents: int) -> Callable[[], object]:
    store, model = DocumentStore(folder / "store"), _model()
    return lambda: index_corpus(folder / "x.ance", model, store, FirstP())


def _vectors(folder: Path, documents: int) -> Callable[[], object]:
    def rows() -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng(0)
        for start in range(0, documents, BLOCK):
            for place, vector in enumerate(rng.standard_normal((BLOCK, DIMENSION), dtype=np.float32)):
                yield {"docno": f"d{start + place}", "doc_vec": vector}

    return lambda: AnceIndex(folder / "vectors.ance").index(rows())


def _search(folder: Path, documents: int) -> Callable[[], object]:
    index = AnceIndex(folder / "vectors.ance")
    wanted = np.arange(0, documents, documents // 64)[:64]
    queries = index.vectors.get(wanted)
    searcher = index.searcher("exact", memory_budget=512 << 20)
    searcher.search(queries[:1, :], 1)  # threads and their buffers

    def search() -> None:
        scores, rows = searcher.search(queries, 100)
        assert (rows[:, 0] == wanted).all()
        assert scores.shape == (64, 100)

    return search


def _mine(folder: Path, documents: int) -> Callable[[], object]:
    store, model, count = DocumentStore(folder / "store"), _model(), documents // 50
    positives = [np.array([query * 50]) for query in range(count)]
    texts = [store[query * 50]["text"] for query in range(count)]
    queries = TrainingQueries(
        qids=[f"q{n}" for n in range(count)], texts=texts, positives=positives, excluded=positives, documents=documents
    )
    model.encode_queries(texts[:64])
    (folder / "step-0").mkdir()
    return lambda: AnnMiner(queries, store, FirstP()).mine(model, folder / "step-0", 0, None)


def _run(queries: int, hits: int, documents: int) -> pd.DataFrame:
    numbers = np.random.default_rng(0).integers(documents, size=(queries, 1)) + np.arange(hits) * 7
    qids, docnos = np.repeat([f"q{n}" for n in range(queries)], hits), [f"d{n}" for n in (numbers % documents).ravel()]
    return pd.DataFrame({"qid": qids, "docno": docnos, "score": np.tile(-np.arange(hits), queries)})


def _evaluate(folder: Path, documents: int) -> Callable[[], object]:
    run = _run(JUDGED, HITS, documents)
    qrels = run[::50].assign(label=1)[["qid", "docno", "label"]]

    def measure() -> None:
        values = evaluate(run, qrels, ["RR@10", "nDCG@10", "R@1000"])
        assert len(values) == JUDGED
        assert (values["R@1000"] == 1).all()

    return measure


def _cover(folder: Path, documents: int) -> Callable[[], object]:
    run, store = _run(QUESTIONS, PASSAGES, documents), DocumentStore(folder / "store")
    wanted = [[f"{WORDS[n % 31]} {WORDS[n % 37]}", "in none"] for n in range(QUESTIONS)]
    answers = pd.DataFrame({"qid": run["qid"].unique(), "answers": wanted})

    def measure() -> None:
        values = evaluate(run, None, ["Coverage@5", "Coverage@100"], evidence=Evidence(answers=answers, store=lambda: store))
        assert 0 < values["Coverage@5"].mean() <= values["Coverage@100"].mean()

    return measure


WORKS = {
    "documents to disk": Work(_documents, 100),
    "index, from text": Work(_index, 200),
    "index, from vectors": Work(_vectors, 512),
    "exact search in 512 MiB, 64 queries": Work(_search, 512),
    "mining for a fiftieth as many queries": Work(_mine, 1400),
    f"evaluation, {JUDGED:,} queries × {HITS:,}": Work(_evaluate, 2000),
    f"Coverage, {QUESTIONS:,} questions × {PASSAGES}": Work(_cover, 100),
}


def _watched(name: str, folder: Path, documents: int, found: Any) -> None:
    """In a process of its own: do the work, and note the most that was held and the seconds it took."""
    work = WORKS[name].job(folder, documents)
    before, most, done, began = _anonymous(), 0.0, threading.Event(), time.process_time()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    found[:] = [most - before, time.process_time() - began]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("documents", [pytest.param(100_000, marks=pytest.mark.slow), pytest.param(1_000_000, marks=pytest.mark.large)])
def test_what_is_held_at_most(tmp_path: Path, documents: int) -> None:
    missed = []
    for name, work in WORKS.items():
        found = CONTEXT.Array("d", 2)
        process = CONTEXT.Process(target=_watched, args=(name, tmp_path, documents, found))
        process.start()
        process.join()
        assert process.exitcode == 0, name
        print(f"| {name} | {found[0]:,.0f} | {work.bar:,} | {found[1]:,.0f} |")
        if not 0 < found[0] < work.bar:
            missed.append(f"{name}: {found[0]:.0f} MiB, {work.bar} are allowed")
    assert not missed
