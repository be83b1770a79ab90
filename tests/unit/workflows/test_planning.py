"""Plans: laws by hand and against what libraries make, files of unit costs, and what is said before and after long work."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

import ance_ir.indexes
from ance_ir import registries
from ance_ir.datasets import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, MaxP, index_corpus
from ance_ir.indexes.ann.build import build_faiss, faiss_paths
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.cluster import connection
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from ance_ir.models import Tower
from ance_ir.models.dense.size import Size
from ance_ir.training.run import storages
from ance_ir.workflows.planning import estimates
from ance_ir.workflows.planning.estimates import Estimate, announced, estimate_indexing
from ance_ir.workflows.planning.figures import duration
from ance_ir.workflows.planning.job import Corpus, Job, find_size
from ance_ir.workflows.planning.machine import UNITS, Cost, Machine, own_units
from ance_ir.workflows.planning.measuring import two_costs
from ance_ir.workflows.planning.plan import make_plan
from ance_ir.workflows.planning.searching import Searched
from ance_ir.workflows.planning.stages import encoding, mining, stages, step_counts
from ance_ir.workflows.planning.training_memory import training_memory
from tests.command import Run
from tests.tiny import WORDS, encoder

GIB = 2**30


def machine(**changes: Any) -> Machine:
    """A machine on which a unit of anything takes a second and leaves two bytes."""
    costs = {name: Cost(seconds=1.0, unit=unit, source="made up", bytes=2.0) for name, unit in UNITS.items()}
    made = Machine(describes="slow", memory=8.0, gpu_memory=0.0, dollars=3.0, source="made up", costs=costs)
    return dataclasses.replace(made, **changes)


class FourNodes:
    """A Ray cluster without GPUs, of whose nodes one is gone."""

    @staticmethod
    def cluster_resources() -> dict[str, float]:
        return {"CPU": 8.0}

    @staticmethod
    def nodes() -> list[dict[str, bool]]:
        return [{"Alive": number < 4} for number in range(5)]


def job(**changes: Any) -> Job:
    """Ten documents of five tokens, encoded by a layer of width 64."""
    corpus = Corpus.of_mean(10, 5, FirstP(), 512)
    return Job(**{"corpus": corpus, "size": find_size("1x64"), "dimension": 64, "test_queries": 4, "results": 3, **changes})


def test_a_documents_passages_are_those_of_its_scheme() -> None:
    assert Corpus.of_mean(10, 5, FirstP(), 512).lengths == [7]
    corpus = Corpus.of_mean(10, 250, MaxP(102, 4), 512)
    assert corpus.lengths == [102, 102, 52]
    assert corpus.passages == 30
    sampled = Corpus(documents=10, tokens=3, lengths=[5, 7, 9], sampled=2)
    assert sampled.passages == 15
    size = find_size("2x8")
    assert sampled.operations(size) == 5 * size.operations([5, 7, 9])


@pytest.mark.parametrize("name", ["bert-base", "minilm", "3x128"])
def test_the_size_of_an_encoder_is_that_of_bert(name: str) -> None:
    layers, width = {"bert-base": (12, 768), "minilm": (6, 384), "3x128": (3, 128)}[name]
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=width, intermediate_size=4 * width, num_attention_heads=width // 64, vocab_size=30522
    )
    with torch.device("meta"):
        expected = Size.of(Tower(BertModel(config, add_pooling_layer=False), pooling="cls"))
    found = find_size(name)
    assert (found.layers, found.width, found.matrices) == (expected.layers, expected.width, expected.matrices)
    assert found.weights == pytest.approx(expected.weights, rel=0.001)


def test_matrices_that_are_written_as_convolutions_count() -> None:
    with torch.device("meta"):
        found = Size.of_backbone(GPT2Model(GPT2Config(n_layer=3, n_embd=8, n_head=2, vocab_size=11, n_positions=4)))
    assert found.matrices == 3 * 12 * 8**2


def test_seconds_and_bytes_are_costs_times_counts() -> None:
    needs = {need.stage: need for need in make_plan(job(), machine()).needs}
    assert needs["documents"].hours * 3600 == pytest.approx(1 + 10 + 50)
    assert needs["documents"].disk * GIB == pytest.approx(2 * 61)
    assert needs["BM25"].hours * 3600 == pytest.approx(1 + 10 + 50 + 4 + 40)
    operations = 10 * find_size("1x64").operations([7])
    assert needs["encoding"].hours * 3600 == pytest.approx(1 + 50 + 10 + operations)
    components = 10 * 64
    asked = 4 * 12 + 4 + 4 * find_size("1x64").operations([12])
    assert needs["evaluation, 4 queries"].hours * 3600 == pytest.approx(asked + components + 4 * components + 12 + 12)
    assert needs["total"].hours == pytest.approx(sum(need.hours for name, need in needs.items() if name != "total"))
    assert needs["total"].dollars == pytest.approx(3 * needs["total"].hours)


def test_each_refresh_encodes_and_searches_with_every_query() -> None:
    once, thrice = (mining(job(queries=2000, depth=5, refreshes=refreshes)).counts for refreshes in (1, 3))
    assert thrice == {name: 3 * count for name, count in once.items()}
    assert once["search.component"] == 10 * 64, "the vectors are read once for many queries"
    assert mining(job(queries=2**20, depth=5)).counts["search.component"] == 3 * 10 * 64
    assert once["search.product"] == 2000 * 10 * 64
    assert once["mining.candidate"] == 2000 * 5
    assert once["encoding.passage"] == 10 + 2000


@pytest.mark.parametrize(("backend", "searches"), [("hnsw+sq8", "faiss.hnsw_query"), ("ivf16,nprobe=4", "faiss.scan")])
def test_approximate_mining_builds_and_searches_an_index_at_each_refresh(backend: str, searches: str) -> None:
    corpus = Corpus.of_mean(5000, 5, FirstP(), 512)
    asked = {"corpus": corpus, "queries": 100_000, "depth": 5}
    exact, found, twice = (
        mining(job(**asked, **more)) for more in ({}, {"mining_backend": backend}, {"mining_backend": backend, "refreshes": 2})
    )
    assert twice.counts == {name: 2 * count for name, count in found.counts.items()}
    assert found.counts["search.product"] == 1000 * 5000 * 64, "a sample is searched exactly"
    assert exact.counts["search.product"] == 100_000 * 5000 * 64
    assert found.counts[searches] > 0
    searched = next(one for one in stages(job(backend=backend, **asked), gpu=False) if one.name.startswith("building"))
    assert searched.counts.items() <= found.counts.items(), "and built as for evaluation"
    assert found.disk - exact.disk == searched.disk


def test_a_step_is_three_times_the_operations_of_encoding_its_texts() -> None:
    found = step_counts(job(steps=1, batch_size=4, negatives=2))
    size = find_size("1x64")
    assert found == {
        "training.operation": 3 * (12 * size.operations([7]) + 4 * size.operations([12])),
        "training.weight": size.weights,
    }


def test_machines_share_what_can_be_shared_and_cost_the_same() -> None:
    asked = job(queries=10, steps=5, backend="hnsw+sq8")
    alone, shared = (make_plan(asked, machine(), count) for count in (1, 4))
    divided = {one.stage for one, other in zip(alone.needs, shared.needs, strict=True) if other.hours == pytest.approx(one.hours / 4)}
    assert divided == {"encoding", "mining, 1 ×", "training, 5 steps"}
    assert [need.dollars for need in alone.needs] == pytest.approx([need.dollars for need in shared.needs])


def test_what_exceeds_a_machine_or_was_not_measured_is_marked() -> None:
    costs = {**machine().costs, "store.token": Cost(seconds=1.0, unit=UNITS["store.token"], source="guessed", measured=False)}
    plan = make_plan(job(), machine(costs=costs, memory=0.01))
    rows = {row[0]: row for row in plan.table.rows}
    assert "documents *" in rows and "BM25" in rows
    assert rows["BM25"][3].endswith(" !")
    assert any("token of it: guessed" in note for note in plan.notes)
    assert not any(" !" in cell for row in make_plan(job(), machine()).table.rows for cell in row)


@pytest.mark.parametrize("backend", ["hnsw+sq8", "hnsw16", "ivf+sq8", "ivf64+pq8"])
def test_a_faiss_file_has_the_bytes_that_are_planned(tmp_path: Path, backend: str) -> None:
    rows, dimension = 3000, 32
    writer = VectorWriter(tmp_path)
    writer.append(np.random.default_rng(0).standard_normal((rows, dimension), dtype=np.float32))
    settings = parse_backend(backend)
    build_faiss(VectorStore(tmp_path, writer.finish()), tmp_path, settings)
    planned = Searched(rows=rows, dimension=dimension, backend=backend).bytes
    assert planned == pytest.approx(faiss_paths(tmp_path, settings)[0].stat().st_size, rel=0.1)


def _store(folder: Path, count: int = 300) -> DocumentStore:
    texts = (" ".join(WORDS[(number + place) % len(WORDS)] for place in range(number % 40)) for number in range(count))
    return DocumentStore.build(({"docno": f"d{number}", "text": text} for number, text in enumerate(texts)), folder)


def test_an_index_has_the_bytes_that_are_planned(tmp_path: Path) -> None:
    model, store = encoder(), _store(tmp_path / "documents", 500)
    index = index_corpus(tmp_path / "x.ance", model, store, MaxP(8, 3), dtype="float16")
    corpus = Corpus(documents=500, tokens=20, lengths=[8] * len(index.vectors), sampled=500)
    planned = encoding(job(corpus=corpus, dimension=model.dimension, dtype="float16")).disk
    stored = sum(path.stat().st_size for path in index.folder.rglob("*") if path.is_file())
    assert planned == pytest.approx(stored, rel=0.1)


@pytest.mark.slow
def test_the_memory_of_training_is_predicted_for_a_model_that_is_not_there() -> None:
    corpus = Corpus.of_mean(10, 200, FirstP(), 512)
    small, large = (training_memory(job(corpus=corpus, size=find_size("2x64"), batch_size=size), bfloat16=False) for size in (2, 32))
    assert small > 16 * find_size("2x64").weights * 0.95, "weights, gradients and the two numbers that AdamW keeps"
    assert large > 1.3 * small


@pytest.mark.slow
def test_on_a_gpu_training_is_in_bfloat16_and_keeps_no_attention() -> None:
    """For each token, layer and width 34 bytes in half precision, 3 of them dropout's (Korthikanti et al., 2022, section 4.1)."""
    size, corpus = find_size("3x256"), Corpus.of_mean(10, 510, FirstP(), 512)
    planned = job(corpus=corpus, size=size, queries=4, steps=1, batch_size=8, query_tokens=512)
    training = [*stages(planned, gpu=True)][-2]
    activations = 3 * 8 * 512 * 3 * 256 * (34 - 3)
    assert training.gpu_memory == pytest.approx(16 * size.weights + 2 * size.matrices + activations, rel=0.25)


@pytest.mark.slow
def test_a_plan_has_as_much_time_as_a_busy_core_takes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=100.0)
    monkeypatch.setattr(storages.time, "thread_time", lambda: next(seconds))
    status, out, said = run("plan", "--documents", "10", "--model", "1x64", "--queries", "4", "--steps", "1", "--batch-size", "1")
    assert (status, said) == (0, "")
    assert "training, 1 steps" in out


def test_two_costs_are_found_out_of_two_works_and_are_never_below_0() -> None:
    assert two_costs((10, 40, 10 * 2 + 40 * 3), (10, 320, 10 * 2 + 320 * 3)) == pytest.approx((2, 3))
    assert two_costs((10, 40, 5.0), (10, 320, 4.0)) == (0.5, 0.0)
    assert two_costs((10, 40, 1.0), (10, 320, 100.0))[0] == 0.0
    assert two_costs((10, 0, 20.0), (20, 0, 40.0)) == (2.0, 0.0)


def test_unit_costs_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    machine().write(path)
    assert Machine.find(str(path)) == machine()
    told = json.loads(path.read_text())
    told["costs"]["faiss.scan"]["unit"] = "vector"
    path.write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"units\.json.*faiss\.scan.*a vector"):
        Machine.find(str(path))
    del told["costs"]["faiss.scan"]
    path.write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"units\.json.*faiss\.scan"):
        Machine.find(str(path))
    path.write_text("{")
    with pytest.raises(UsageError, match=r"units\.json"):
        Machine.find(str(path))
    with pytest.raises(UsageError, match=r"'labtop'.*'laptop'"):
        Machine.find("labtop")


@pytest.mark.parametrize("name", registries.MACHINES)
def test_machines_that_come_with_the_package_know_every_cost_and_its_source(name: str) -> None:
    found = Machine.find(name)
    assert {key: cost.unit for key, cost in found.costs.items()} == UNITS
    assert all(cost.source for cost in found.costs.values())
    assert registries.MACHINES.summary(name) == found.describes


def test_the_page_has_the_costs_of_these_machines() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+\.\w+)` \| (.+) \| (\S+) \| (\S+) \| (\S+) \|$", page, re.MULTILINE)
    laptop, h100 = Machine.find("laptop").costs, Machine.find("h100").costs
    expected = [
        (name, unit, f"{laptop[name].seconds:g}", f"{h100[name].seconds:g}" if h100[name].measured else "–", f"{laptop[name].bytes:g}")
        for name, unit in UNITS.items()
    ]
    assert shown == expected


def test_the_machine_at_hand_is_the_one_that_was_measured_as_it_is_used() -> None:
    shipped = Machine.find("laptop")
    assert Machine.at_hand(gpu=False) == shipped == Machine.find()
    machine().write(own_units())
    try:
        assert Machine.at_hand(gpu=False) == machine() == Machine.find()
        assert Machine.at_hand(gpu=True) == Machine.find("h100")
        own_units().write_text("{}")
        assert Machine.at_hand(gpu=False) == shipped
    finally:
        own_units().unlink()


def test_the_stages_of_a_job_are_those_that_it_has() -> None:
    assert [stage.name for stage in stages(job(), gpu=False)] == ["documents", "BM25", "encoding", "evaluation, 4 queries"]
    assert [stage.name for stage in stages(job(queries=3, steps=1, backend="ivf+pq"), gpu=True)][3:6] == [
        "building ivf+pq",
        "mining, 1 ×",
        "training, 1 steps",
    ]
    for wrong in ({"backend": "flat"}, {"backend": "nothing"}, {"dtype": "int8"}, {"depth": 0}, {"queries": -1}):
        with pytest.raises(UsageError):
            job(**wrong)


def test_times_are_shown_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.004, 4.12, 700, 7200, 3600 * 1000)] == ["0.004 s", "4.1 s", "12 min", "2.0 h", "42 days"]


def test_long_work_says_its_estimate_and_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 30.0, 0.0, 15.0, 0.0, 2.0])
    monkeypatch.setattr(estimates.time, "perf_counter", lambda: next(clock))
    said: list[str] = []
    with announced(Estimate(seconds=20.0, disk=GIB, source="s"), said.append):
        assert said == ["estimate: 20 s, 1 GiB of disk (s)"]
    assert said[1:] == ["took 30 s, 1.50 × the estimate"]
    for _ in range(2):  # it takes long, and then it does not
        with announced(Estimate(seconds=2.0, disk=0.0, source="s"), said.append), announced(None, said.append):
            pass
    assert said[2:] == ["took 15 s, where less than 10 s was expected"]


def test_an_index_is_estimated_by_a_sample_of_its_documents(tmp_path: Path) -> None:
    machine().write(own_units())
    try:
        model, store = encoder(), _store(tmp_path / "documents", 1200)
        found, shared = (estimate_indexing(model, store, FirstP(), device="cpu", processes=processes) for processes in (1, 4))
    finally:
        own_units().unlink()
    lengths = [len(ids) for ids in model.tokenizer.passages([document["text"] for document in store])]
    whole = sum(map(len, model.tokenizer.bare([document["text"] for document in store])))
    expected = 1 + whole + len(store) + Size.of(model.passage_tower).operations(lengths)
    assert found.seconds == pytest.approx(expected, rel=0.1)
    assert shared.seconds == found.seconds / 4


def test_the_command_plans(run: Run) -> None:
    arguments = ["plan", "--documents", "8841823", "--dimension", "768", "--machine", "laptop"]
    status, text, _ = run(*arguments)
    assert status == 0
    assert [line.split("  ")[0].removesuffix(" *") for line in text.splitlines()[2:7]] == [
        "documents",
        "BM25",
        "encoding",
        "evaluation, 1,000 queries",
        "total",
    ]
    status, out, _ = run(*arguments, "--format", "json", "--dollars", "2", "--queries", "500", "--steps", "2500", "--model", "1x64")
    told = json.loads(out)
    assert status == 0
    assert told["stages"][3]["stage"] == "mining, 3 ×"
    assert told["stages"][-1]["dollars"] == pytest.approx(2 * told["stages"][-1]["hours"])
    assert run(*arguments, "--format", "markdown")[1].startswith("| stage ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--machine", "nothing"], "'nothing'"),
        (["--backend", "flat"], "flat"),
        (["--passages", "parts"], "parts"),
        (["--model", "nowhere/at-all"], "nowhere/at-all"),
        (["--documents", "0"], "0"),
    ],
)
def test_what_cannot_be_planned_is_said_in_a_line(run: Run, arguments: list[str], named: str) -> None:
    status, out, error = run("plan", "--documents", "10", *arguments)
    assert (status, out) == (2, "")
    assert named in error
    assert len(error.strip().splitlines()) == 1


def test_commands_say_what_long_work_will_take_and_took(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "LONG", 0.0)
    collection = tmp_path / "collection"
    collection.mkdir()
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": WORDS[i]}) + "\n" for i in range(9)))
    (collection / "queries.train.tsv").write_text("q1\tcat\n")
    (collection / "qrels.train.txt").write_text("q1 0 d1 1\n")
    encoder().save(tmp_path / "model")
    common = ("--dataset", collection, "--model", tmp_path / "model")
    status, _, said = run("index", *common, "--out", tmp_path / "x.ance")
    assert status == 0
    before, after = [line for line in said.splitlines() if "estimate" in line]
    assert before.startswith("estimate: ") and "GiB of disk" in before and "bench units" in before
    assert after.startswith("took ") and after.endswith("× the estimate")
    monkeypatch.setattr(connection, "connect", lambda cluster: FourNodes)
    monkeypatch.setattr(ance_ir.indexes, "index_corpus", lambda *arguments, cluster, **options: index_corpus(*arguments, **options))
    status, _, said = run("index", *common, "--cluster", "ray", "--out", tmp_path / "shared.ance")
    assert status == 0
    alone, shared = (float(text.split()[1]) for text in (before, next(line for line in said.splitlines() if "estimate" in line)))
    assert shared == pytest.approx(alone / 4, rel=0.1)
    status, out, _ = run("train", *common, "--steps", "2", "--batch-size", "1", "--depth", "3", "--out", tmp_path / "run")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if "estimate" in line] == ["estimate:", "took"]
    status, out, _ = run("train", *common, "--steps", "2", "--batch-size", "1", "--depth", "3", "--out", tmp_path / "run")
    assert status == 0
    assert "estimate" not in out, "what is resumed takes less than all"
    (collection / "queries.test.tsv").write_text("q1\tcat\n")
    (collection / "qrels.test.txt").write_text("q1 0 d1 1\n")
    evaluating = ("eval", "--dataset", collection, "--system", "bm25", "--system", tmp_path / "x.ance", "--out", tmp_path / "results")
    mining = ("mine", "--dataset", collection, "--system", tmp_path / "x.ance", "--negatives-per-query", "2", "--format", "trec")
    for command in (evaluating, (*mining, "--out", tmp_path / "mined.txt")):
        status, _, said = run(*command)
        assert status == 0, said
        assert [line.split()[0] for line in said.splitlines() if "estimate" in line] == ["estimate:", "took"]
    status, _, said = run(*evaluating)
    assert (status, "estimate" in said) == (0, False), "the runs are there"
