"""The bench of the server: what clients count, how figures are made of it, and the whole at a small size."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import EvaluationError
from ance_ir.serve.bench import bench, bench_serve
from ance_ir.serve.bench.load import Asked, Load, ask
from ance_ir.serve.bench.material import COLLECTION, INDEX, write_material
from ance_ir.serve.bench.running import running
from tests.processes import free_port
from tests.systems_server import SystemsServer, serving_systems
from tests.tiny import WORDS, encoder


def test_clients_take_turns_and_count_every_answer() -> None:
    served = SystemsServer({"a": lambda frame: frame.assign(docno="d", score=1.0, rank=0)})
    with serving_systems(served) as server:
        server.failures[:] = [(503, {}), None]
        bodies = [{"query": query, "k": 1} for query in ("x", "y", "z")]
        load = ask(Asked(port=int(server.url.rpartition(":")[2]), path="/v1/a/search", bodies=bodies, clients=2, requests=8))
    assert load.statuses == {503: 1, 0: 1, 200: 6}
    assert len(load.milliseconds) == 7 and all(one > 0 for one in load.milliseconds)
    assert sorted(body["query"] for _, body, _ in served.asked) == sorted([*"xyzxyzxy"])


def test_time_ends_the_load() -> None:
    with serving_systems(SystemsServer({"a": lambda frame: frame.assign(docno="d", score=1.0, rank=0)})) as server:
        port = int(server.url.rpartition(":")[2])
        load = ask(Asked(port=port, path="/v1/a/search", bodies=[{"query": "x", "k": 1}], clients=3, seconds=0.1))
    assert load.statuses.keys() == {200}
    assert 0.1 <= load.seconds < 5
    assert load.rate == pytest.approx(len(load.milliseconds) / load.seconds)


def test_figures_compare_the_server_with_the_library() -> None:
    load = Load(seconds=2.0, milliseconds=[10.0] * 98 + [60.0] * 2)
    seen = bench._Seen(library=[1.0, 2.0, 9.0], library_rates=[40.0, 60.0], server=[4.0, 4.5, 7.0], shown=[6.0], loads=[load])
    found = pd.DataFrame([figure.row() for figure in bench._figures("dense", seen)])
    assert found["value"].tolist() == [4.5, 6.0, 50.0, 60.0]
    assert found["ratio"].tolist() == [2.5, 1.5, 1.0, 6.0]
    assert found["met"].tolist() == ["yes", "", "yes", "no"]
    assert pd.DataFrame([figure.row() for figure in bench._figures("bm25", seen)])["met"].tolist() == ["yes", "", "", "no"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benched")
    documents = [{"docno": f"d{number}", "text": " ".join(WORDS[number : number + 9])} for number in range(7)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (folder / "queries.tsv").write_text("q1\twho sleeps\nq2\tdog runs in the city\n")
    return folder


def test_documents_come_again_where_there_are_too_few(collection: Path, tmp_path: Path) -> None:
    write_material(tmp_path / "x", load_dataset(collection), encoder(), 16)
    made = [*load_dataset(tmp_path / "x" / COLLECTION).documents()]
    source = [*load_dataset(collection).documents()]
    assert [one["text"] for one in made] == [one["text"] for one in itertools.islice(itertools.cycle(source), 16)]
    assert len({one["docno"] for one in made}) == 16
    assert (tmp_path / "x" / INDEX / "manifest.json").exists()


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told() -> None:
    with pytest.raises(EvaluationError, match="nowhere"), running(["--dataset", "/nowhere", "--system", "bm25"], free_port()):
        pass


@pytest.mark.slow
def test_it_runs_at_a_small_size(collection: Path, tmp_path: Path) -> None:
    encoder().save(tmp_path / "model")
    found = bench_serve(load_dataset(collection), str(tmp_path / "model"), documents=1500, length=16, seconds=0.3, rounds=1, device="cpu")
    assert len(found) == 10
    assert (found["value"] > 0).all()
