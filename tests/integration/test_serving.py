"""A server in a process of its own: under load while its index changes, and killed at any instant."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from ance_ir.datasets import load_dataset
from ance_ir.indexes import AnceIndex, FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.processes import process_pool
from ance_ir.serve.bench.load import Asked, Load, ask
from ance_ir.serve.bench.running import Running, running
from tests.processes import free_port
from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.integration

DOCUMENTS = [{"docno": f"d{number}", "text": " ".join(random.Random(number).choices(WORDS, k=20))} for number in range(200)]
BODIES = [{"query": " ".join(random.Random(number).choices(WORDS, k=3)), "k": 10} for number in range(50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, and an index of it."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "collection").mkdir()
    (folder / "collection" / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    encoder(seed=3).save(folder / "dense")
    model = DenseEncoder.from_pretrained(folder / "dense", device="cpu")
    index_corpus(folder / "x.ance", model, load_dataset(folder / "collection").store(), FirstP())
    return folder


def arguments(folder: Path) -> list[str]:
    return ["--dataset", str(folder / "collection"), "--system", "bm25", "--system", f"dense={folder / 'x.ance'}", "--device", "cpu"]


def changes(folder: Path) -> Iterator[None]:
    """Delete a document, add it again, compact: without end."""
    model = DenseEncoder.from_pretrained(folder / "dense", device="cpu")
    for number in itertools.count():
        document = DOCUMENTS[number % len(DOCUMENTS)]
        AnceIndex(folder / "x.ance").delete([document["docno"]])
        yield
        AnceIndex(folder / "x.ance").add((FirstP() >> model.passages()).transform_iter([document]))
        yield
        AnceIndex(folder / "x.ance").compact()
        yield


def load_while_it_changes(server: Running, folder: Path, *, seconds: float, every: float) -> tuple[Load, list[float]]:
    """What clients saw, and the server's memory after each change."""
    memory = []
    with process_pool(1, nothing, (), [ask.__module__]) as pool:
        asked = pool.submit(ask, Asked(port=server.port, path="/v1/dense/search", bodies=BODIES, clients=8, seconds=seconds))
        for _ in changes(folder):
            if asked.done():
                break
            memory.append(server.memory())
            time.sleep(every)
        return asked.result(), memory


def nothing() -> None:
    """The process that puts load on the server needs nothing before."""


@pytest.mark.slow
def test_an_index_changes_under_load_and_no_request_fails(folder: Path) -> None:
    with running(arguments(folder), free_port()) as server:
        load, _ = load_while_it_changes(server, folder, seconds=5, every=0.2)
    assert load.statuses.keys() == {200}
    assert sum(load.statuses.values()) > 100


@pytest.mark.large
def test_ten_minutes_of_changes_in_memory_that_stays(folder: Path) -> None:
    with running(arguments(folder), free_port()) as server:
        load, memory = load_while_it_changes(server, folder, seconds=600, every=10)
    assert load.statuses.keys() == {200}
    settled = memory[len(memory) // 5 :]
    assert max(settled) <= 1.05 * settled[0]


@pytest.mark.parametrize("kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.large)])
def test_killed_at_any_instant_it_starts_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    """What it makes on its first start, such as the BM25 index, is made again."""
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path))
    port, instants = free_port(), random.Random(0)
    started = 1.0
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-m", "ance_ir", "serve", *arguments(folder), "--port", str(port)])
        time.sleep(instants.uniform(0, 1.2 * started))
        process.kill()
        process.wait()
        with running(arguments(folder), port) as server, process_pool(1, nothing, (), [ask.__module__]) as pool:
            started = server.started
            load = pool.submit(ask, Asked(port=port, path="/v1/bm25/search", bodies=BODIES, requests=20)).result()
            assert load.statuses == {200: 20}
            server.process.kill()
