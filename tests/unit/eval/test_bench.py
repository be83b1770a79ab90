"""The benchmarks at a small size: every contender runs, and the figures fit together."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

import ance_ir.eval.bench.contenders as contenders
import ance_ir.eval.bench.encode as encode
import ance_ir.eval.bench.ingest as ingest
import ance_ir.eval.bench.pipeline as pipeline
import ance_ir.eval.bench.rounds as rounds
import ance_ir.eval.bench.search as search
import ance_ir.eval.bench.work as work
from ance_ir.datasets import load_dataset
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval.bench import bench_device_search, bench_encode, bench_ingest, bench_pipeline, bench_search, bench_train
from ance_ir.eval.bench.contenders import open_contender, our_name, rival
from ance_ir.eval.bench.graphs import RUNTIMES, _exported, runnable
from ance_ir.eval.bench.rounds import alternate, alternate_short, medians, ratio
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.inference import TOKEN_BUDGET
from ance_ir.models.dense.size import Size
from ance_ir.processes import peak_memory
from tests.tiny import WORDS, cross_encoder, encoder


def test_contenders_run_in_turn_and_the_first_round_does_not_count() -> None:
    ran: list[str] = []
    seconds = alternate({name: lambda name=name: ran.append(name) for name in "ab"}, 2)  # type: ignore[misc]
    assert "".join(ran) == "ababab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
    assert alternate({"a": lambda: None}, 3, itertools.count().__next__) == {"a": [1, 1, 1]}


def test_ratios_are_taken_round_by_round() -> None:
    seconds = {"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 4.0]}
    assert ratio(seconds, "a", "b") == 2
    assert medians(seconds) == {"a": 4.0, "b": 4.0}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_REST", 0)
    monkeypatch.setattr(rounds, "_TURN", 0.001)


class Clock:
    """Stands still but for what is told to take time."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_short_runs_follow_one_another_in_a_turn_whose_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    ran: list[tuple[str, float]] = []

    def run(name: str, seconds: float) -> None:
        ran.append((name, clock.now))
        clock.sleep(seconds if ran[-2:-1] and ran[-2][0] == name else 5)

    seconds = alternate_short({"a": lambda: run("a", 1 / 32), "b": lambda: run("b", 2)}, 2)
    turns = [(name, list(runs)) for name, runs in itertools.groupby(ran, lambda one: one[0])]
    assert [(name, len(runs)) for name, runs in turns] == [("a", 5), ("b", 2), ("a", 5), ("b", 2)]
    assert seconds == {"a": pytest.approx([1 / 32] * 2), "b": pytest.approx([2, 2])}
    assert turns[1][1][0][1] - turns[0][1][-1][1] == pytest.approx(1 / 32 + 0.2), "a rest before each turn"


@pytest.mark.usefixtures("hurried")
def test_search() -> None:
    found = bench_search(vectors=1500, dimensions=(8,), queries=(1, 3), depths=(10, 1000), rounds=1)
    assert found[["dimension", "queries", "k"]].to_numpy().tolist() == [[8, 1, 10], [8, 1, 1000], [8, 3, 10], [8, 3, 1000]]
    best = found[["faiss", "torch", "numpy", *(name for name in found if name.startswith("pyterrier_dr"))]].min(axis=1)
    assert (found["ours ÷ best"] - found["ance_ir"] / best).abs().max() < 1e-9
    assert (found["faiss ÷ ours"] - found["faiss"] / found["ance_ir"]).abs().max() < 1e-9
    assert (found["recall"] == 1).all()


@pytest.mark.usefixtures("hurried")
def test_search_on_a_device() -> None:
    found = bench_device_search("cpu", vectors=1500, dimension=8, queries=(1, 3), depths=(10, 1000), rounds=1)
    settings = [list(row) for row in itertools.product(["float32", "float16"], [1, 3], [10, 1000])]
    assert found[["type", "queries", "k"]].to_numpy().tolist() == settings
    assert (found["held ÷ torch"] - found["held"] / found["torch"]).abs().max() < 1e-9
    rates = 1500 * 8 * np.where(found["type"] == "float32", 4, 2) / found["sent"]
    assert (rates / found["sent ÷ bus"]).std() < 1e-6 * (rates / found["sent ÷ bus"]).mean()
    assert (found["as on a CPU"] == 1).all()


def test_contenders_of_search_find_the_best(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corpus, queries = rng.normal(size=(300, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    best = np.argsort(-(queries @ corpus.T), axis=1)
    pytest.importorskip("pyterrier_dr")
    contenders = search._contenders(corpus, tmp_path)
    assert len(contenders) == 7
    for name, one in contenders.items():
        np.testing.assert_array_equal(one(queries, 20), best[:, :20], err_msg=name)


def test_a_contender_that_does_not_find_the_best_stops_the_benchmark() -> None:
    exact = np.array([[3.0, 2, 1, 0], [0, 1, 2, 3]])
    assert search._recall("x", np.array([[0, 1], [2, 3]]), exact) == 1
    for wrong in ([[0, 2], [2, 3]], [[0, 0], [2, 3]]):
        with pytest.raises(EvaluationError, match=r"x .*2 best"):
            search._recall("x", np.array(wrong), exact)


def test_a_contender_that_is_not_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    assert search.left_out() == ", without pyterrier_dr (pip install pyterrier_dr)"
    assert list(search._contenders(np.ones((2, 3), dtype=np.float32), tmp_path)) == ["ance_ir", "faiss", "torch", "numpy"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder(normalize=True).save(tmp_path / "model")
    lines = [json.dumps({"docno": str(number), "text": "the cat sleeps " * (number % 5 + 1)}) for number in range(50)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, beside which each graph is written once."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    encoder(normalize=True).save(folder)
    return folder


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine can do is measured in milliseconds."""
    monkeypatch.setattr(work, "_SIZE", 256)


@pytest.mark.slow
def test_encode(folder: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(encode, "_peak", lambda *_: 1.0)
    monkeypatch.setattr("ance_ir.eval.bench.graphs._exported", lambda checkpoint, form: _exported(exported, form))  # of the same model
    monkeypatch.setitem(TOKEN_BUDGET, "cpu", 64)
    dataset = load_dataset(folder)
    found = bench_encode(
        [dataset, dataset], str(folder / "model"), documents=40, length=32, rounds=1, precisions=["bfloat16"], device="cpu"
    )
    names = [name.partition(", batch")[0] for name in found["contender"]]
    graphs = [name.partition(", batch")[0] for name in runnable(["float32", "bfloat16"], "cpu")]
    assert names == ["ance_ir", "ance_ir bfloat16", "sentence-transformers", *graphs, "plain loop"] * 2
    assert found.select_dtypes("number").min(axis=None) > 0
    assert found["least cosine"].min() > 0.999
    assert (found["least cosine"] <= found["mean cosine"]).all()
    assert found["padded ÷ real"].min() >= 1
    ours, loop = found[found["contender"] == "ance_ir"], found[found["contender"] == "plain loop"]
    assert (ours["ours ×"] == 1).all()
    assert (ours["padded ÷ real"].to_numpy() < loop["padded ÷ real"].to_numpy()).all()
    tokens_a_text = 2 + 3 * np.mean([number % 5 + 1 for number in range(40)])
    np.testing.assert_allclose(found["tokens/s"] / found["texts/s"], tokens_a_text)


def test_encode_takes_the_passage_tower_of_two(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(encode, "_peak", lambda *_: 1.0)
    quick = [name for name in runnable(["float32"], "cpu") if name.startswith("OpenVINO")]  # ONNX takes seconds to export
    monkeypatch.setattr(contenders, "runnable", lambda precisions, device: quick)
    encoder(normalize=True, shared=False).save(tmp_path / "two")
    found = bench_encode([load_dataset(folder)], str(tmp_path / "two"), documents=9, length=32, rounds=1, precisions=[], device="cpu")
    assert found["least cosine"].min() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_graph_takes_the_place_of_torch(
    name: str, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name not in runnable([RUNTIMES[name].precision], "cpu"):
        pytest.skip("not here")
    texts = ["the cat sleeps", "a dog", "the moon is red " * 6]
    shown, contender = open_contender(name, exported, 16, "cpu", texts)
    assert not capsys.readouterr().out  # where the table goes
    assert shown == name
    assert rival(name) == our_name(RUNTIMES[name].precision)
    expected = DenseEncoder.from_pretrained(exported, device="cpu", passage_length=16).encode_passages(texts)
    monkeypatch.setattr(BertModel, "forward", None)  # no torch
    found = contender.encode(texts)
    least = {"float32": 1 - 1e-6, "bfloat16": 0.999, "int8": 0.9 if "NNCF" in name else 0.98}[RUNTIMES[name].precision]  # of random weights
    assert (found * expected).sum(1).min() > least
    assert (np.abs(found - expected).max() < 1e-5) == (RUNTIMES[name].precision == "float32")


def test_ingest(folder: Path) -> None:
    encoder(text={"title_pair": True}).save(folder / "reading")
    with (folder / "corpus.jsonl").open("a") as stream:
        stream.write("\n" + json.dumps({"docno": "titled", "title": "cat", "text": "the cat"}))
    found = bench_ingest(load_dataset(folder), str(folder / "reading"), documents=51, length=8, workers=0, rounds=1, device="cpu")
    assert found["stage"].tolist()[2:5] == [ingest.LIBRARY, ingest.TOKENISING, ingest.FEEDING]
    assert len(found) == 7
    assert found["passages/s"].notna().tolist() == [False] * 6 + [True]
    rates, together = found[:6].set_index("stage"), found["passages/s"][6]
    assert rates.min(axis=None) > 0 and together > 0
    assert rates.loc[ingest.LIBRARY, "÷ library"] == 1
    per_core = rates["passages/s of a core"]
    np.testing.assert_allclose(rates["÷ library"], per_core / per_core[ingest.LIBRARY])


def test_operations_are_those_that_torch_counts() -> None:
    tower = encoder().query_tower
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        tower.backbone.set_attn_implementation("eager")
        tower(torch.ones(1, 20, dtype=torch.int64), None)
    pooler = 2 * tower.backbone.pooler.dense.weight.numel()
    assert Size.of(tower).operations([20]) == counted.get_total_flops() - pooler


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(folder: Path) -> None:
    held = np.ones(64 << 20, dtype=np.float32)  # 256 MiB, which the other process does not hold
    assert peak_memory() > held.nbytes / 2**20
    other = encode._peak("ance_ir", folder / "model", 32, "cpu", ["the cat sleeps"] * 10)
    assert 50 < other < peak_memory()


def test_a_model_that_reads_pairs_is_refused(folder: Path) -> None:
    encoder(text={"title_pair": True}).save(folder / "pairs")
    (folder / "corpus.jsonl").write_text(json.dumps({"docno": "1", "title": "cat", "text": "the cat"}))
    with pytest.raises(UsageError, match="reads title and text as a pair"):
        bench_encode([load_dataset(folder)], str(folder / "pairs"), precisions=[], length=32, device="cpu")


@pytest.mark.parametrize(("backend", "reranker"), [("hnsw", True), ("exact", False)])
def test_pipeline(backend: str, reranker: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "queries.tsv").write_text("".join(f"q{number}\tcat sleeps\n" for number in range(5)))
    cross_encoder().save(folder / "bert")
    model = folder / "model"
    if not reranker:  # a bare backbone, which can have a fresh head
        model = folder / "backbone"
        encoder().query_tower.backbone.save_pretrained(model)
        encoder().tokenizer.tokenizer.save_pretrained(model)
    asked: dict[str, list[tuple[int, int]]] = {}
    original = pipeline.alternate

    def counted(runs: dict[str, Any], rounds: int) -> dict[str, list[float]]:
        for name, run in runs.items():
            if isinstance(run, partial):
                frames = run.args[1] if name.endswith("alone") else [run.args[0]]
                asked[name] = [(frame["qid"].nunique(), len(frame)) for frame in frames]
        return original(runs, rounds)

    monkeypatch.setattr(pipeline, "alternate", counted)
    options = {"documents": 40, "queries": 3, "depth": 7, "length": 32, "rounds": 1, "device": "cpu", "backend": backend}
    found = bench_pipeline(load_dataset(folder), str(model), reranker=str(folder / "bert") if reranker else None, **options)  # type: ignore[arg-type]
    offline = ["BM25 build", "encoding", *(["ANN index build"] if backend == "hnsw" else [])]
    online = ["BM25", "rerank of 7", "cascade", "query encoding", "ANN search", "ANN total"]
    assert found["part"].tolist() == offline + online
    before, after = found.iloc[: len(offline)], found.iloc[len(offline) :]
    np.testing.assert_allclose(before["ms/document"].astype(float), 1000 * before["seconds"].astype(float) / 40)
    assert before[["seconds", "ms/document"]].min(axis=None) > 0
    assert after[["ms, 1 query", "ms, 3 queries"]].min(axis=None) > 0
    assert before[["ms, 1 query", "ms, 3 queries"]].isna().all(axis=None)
    assert after[["seconds", "ms/document"]].isna().all(axis=None)
    assert dict(zip(found["part"], found["paper"], strict=True))["ANN total"] == "11.6 ms"
    assert asked["rerank, alone"] == [(1, 7)] * 3
    assert asked["rerank, together"] == [(3, 21)]
    assert asked["ANN total, alone"] == [(1, 1)] * 3


@pytest.mark.parametrize(
    "options", [{}, {"shared": False}, {"text": {"query_prefix": "who: ", "passage_prefix": "a text: "}}], ids=["shared", "two", "prefixes"]
)
def test_train(tmp_path: Path, options: dict[str, Any]) -> None:
    """Without dropout the first losses are equal, so that the work is."""
    texts = [" ".join(words) for words in itertools.permutations(WORDS[:8], 4)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    (tmp_path / "queries.train.tsv").write_text("".join(f"q{i}\t{text[:9]} {i}\n" for i, text in enumerate(texts)))
    (tmp_path / "qrels.train.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(len(texts))))
    model = encoder(normalize=True, **options)
    for tower in (model.query_tower, model.passage_tower):
        tower.backbone.config.hidden_dropout_prob = tower.backbone.config.attention_probs_dropout_prob = 0.0
    model.save(tmp_path / "model")
    found = bench_train(load_dataset(tmp_path), str(tmp_path / "model"), batch_size=4, length=16, steps=3, rounds=1, device="cpu")
    rows = found.set_index("contender")
    assert list(rows.index) == ["ance_ir", "sentence-transformers", "ance_ir bfloat16", "sentence-transformers bfloat16"]
    assert (rows["seconds"] > 0).all()
    assert rows.loc["ance_ir", "loss"] == pytest.approx(rows.loc["sentence-transformers", "loss"], rel=1e-3)
    assert rows.loc["ance_ir bfloat16", "loss"] == pytest.approx(rows.loc["ance_ir", "loss"], rel=0.05)
    assert (rows["ours ×"][["ance_ir", "ance_ir bfloat16"]] == 1).all()
    with pytest.raises(UsageError, match="at least 2"):
        bench_train(load_dataset(tmp_path), str(tmp_path / "model"), steps=1)
