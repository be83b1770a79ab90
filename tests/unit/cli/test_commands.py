"""Each subcommand on a tiny collection with a tiny model, and what it says to mistakes."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import ance_ir.cli.study as cli_study
from ance_ir.cli._options import PRECISIONS
from ance_ir.datasets import Dataset
from ance_ir.eval import read_run
from ance_ir.eval.formats import FORMS
from ance_ir.indexes import AnceIndex
from ance_ir.models.compute.precision import Precision
from ance_ir.paper import SCHEMES, StudySettings
from ance_ir.registries import FUSIONS
from tests.command import Run
from tests.published import dpr_encoders, write_dpr
from tests.tiny import backbone, bert_tokenizer, cross_encoder, encoder, reader

RERANKER = ["train-reranker", "--dataset", "COLLECTION", "--model", "MODEL", "--fresh-head", "--out", "OUT", "--steps"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    encoder().save(folder)
    return folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    texts = {
        "d1": "the cat sleeps",
        "d2": "a dog runs and a bird sings",
        "d3": "the fish swims in the river",
        "d4": "a king and a queen in the city",
        "d5": "the moon and the star are old",
    }
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in texts.items()))
    for split in ("", ".train"):
        (folder / f"queries{split}.tsv").write_text("q1\twho sleeps cat\nq2\twhat swims fish\nq3\tking queen\n")
        (folder / f"qrels{split}.txt").write_text("q1 0 d1 1\nq2 0 d3 1\nq3 0 d4 2\n")
    return folder


@pytest.fixture
def index(run: Run, collection: Path, model: Path, tmp_path: Path) -> Path:
    status, out, _ = run("index", "--dataset", collection, "--model", model, "--passages", "maxp:6,3", "--out", tmp_path / "x.ance")
    assert status == 0, out
    return tmp_path / "x.ance"


def test_info(run: Run, model: Path) -> None:
    status, out, _ = run("info", model)
    assert status == 0
    rows = {line.split("  ")[1]: line.split("  ", 2)[-1].strip() for line in out.splitlines() if line.startswith("  ")}
    assert rows["layout"] == "ance_ir"
    assert rows["vector"] == "32 dimensions"
    assert rows["query_length"] == "16"
    assert "settings, from ance_ir.json\n" in out
    status, changed, _ = run("info", model, "--query-length", "9", "--text", "separator=<sep>", "--text", "lower_case=yes")
    assert status == 0
    assert "settings, from ance_ir.json; lower_case, query_length, separator changed by the caller\n" in changed
    fingerprints = {line for shown in (out, changed) for line in shown.splitlines() if "fingerprint" in line}
    assert len(fingerprints) == 2


def test_pooling_and_similarity_of_a_bare_backbone(run: Run, collection: Path, tmp_path: Path) -> None:
    bare, out = tmp_path / "bare", tmp_path / "x.ance"
    backbone().save_pretrained(bare)
    bert_tokenizer().save_pretrained(bare)
    told = ["--text", "pooling=cls", "--text", "similarity=dot"]
    status, shown, err = run("info", bare, *told)
    assert status == 0 and "pooling         position 0" in shown and "score           dot product" in shown
    assert "assumed" not in err
    status, _, err = run("info", bare)
    assert status == 0 and "mean pooling" in err and "--text" in err
    assert run("index", "--dataset", collection, "--model", bare, "--out", out, *told)[0] == 0
    model = AnceIndex(out).model(device="cpu")
    assert (model.query_tower.pooling, model.similarity) == ("cls", "dot")
    for system in (out, f"ance[model={bare}; pooling=cls; similarity=dot]"):
        status, _, err = run("eval", "--dataset", collection, "--system", system)
        assert status == 0, err
    for text in ("pooling=median", "similarity=l2"):
        status, _, err = run("info", bare, "--text", text)
        assert status == 2 and text.partition("=")[2] in err


def test_index(index: Path, run: Run, collection: Path, model: Path) -> None:
    manifest = AnceIndex(index).manifest
    assert manifest["documents"] == 5
    assert manifest["encoding"]["passages"] == "maxp:6,3"
    status, _, err = run("index", "--dataset", collection, "--model", model, "--out", index)
    assert (status, err.count("\n")) == (2, 1)
    assert "x.ance" in err and "--overwrite" in err
    status, out, _ = run("index", "--dataset", collection, "--model", model, "--out", index, "--overwrite", "--dtype", "float16")
    assert status == 0
    assert "5 documents, 5 vectors of 32 dimensions" in out
    assert AnceIndex(index).vectors.dtype == "float16"


def test_an_index_is_looked_after(run: Run, index: Path, collection: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.ance"
    shutil.copytree(index, mine)
    docnos = AnceIndex(mine).docnos(np.arange(5)).tolist()
    status, out, _ = run("index", "info", mine)
    assert status == 0
    assert out.startswith(f"{mine}\n  documents           5\n")
    assert "deleted" not in out
    (tmp_path / "gone.txt").write_bytes(f"\ufeff{docnos[1]} \r\n\nx y\n".encode())
    status, _, err = run("index", "delete", mine, "--from", tmp_path / "gone.txt")
    assert (status, "gone.txt, line 3" in err) == (2, True)
    (tmp_path / "gone.txt").write_bytes(f"\ufeff{docnos[1]} \r\n\n".encode())
    status, out, _ = run("index", "delete", mine, docnos[0], "--from", tmp_path / "gone.txt")
    assert (status, out) == (0, f"{mine}: 2 deleted, 3 documents left\n")
    assert "  deleted             2; `ance-ir index compact` frees their space\n" in run("index", "info", mine)[1]
    status, _, err = run("index", "delete", mine, docnos[0])
    assert (status, "does not hold 1 of the documents to delete" in err) == (2, True)
    assert run("index", "delete", mine, docnos[0], "--missing")[1] == f"{mine}: 0 deleted, 3 documents left\n"
    status, _, err = run("index", "delete", mine)
    assert (status, "give docnos, or a file of them with --from" in err) == (2, True)
    status, _, err = run("index", "add", mine, "--dataset", collection)
    assert (status, "--existing keep" in err) == (2, True)
    assert run("index", "add", mine, "--dataset", collection, "--existing", "keep")[:2] == (0, f"{mine}: 2 added, 5 documents\n")
    assert run("index", "add", mine, "--dataset", collection, "--existing", "replace")[:2] == (0, f"{mine}: 0 added, 5 documents\n")
    run("index", "delete", mine, *docnos[:2])
    assert run("index", "compact", mine)[:2] == (0, f"{mine}: 3 documents; removed: 4\n")
    assert run("index", "verify", mine)[:2] == (0, f"{mine}: 3 documents, no file was altered\n")
    found = run("search", mine, "the cat sleeps", "-k", "9")[1]
    assert not [line for line in found.splitlines() if line.endswith((f"  {docnos[0]}", f"  {docnos[1]}"))]
    shard = next(mine.glob("vectors-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    status, _, err = run("index", "verify", mine)
    assert (status, f"checksums differ for {shard.name}" in err) == (2, True)


def test_index_of_a_spoilt_collection(run: Run, model: Path, tmp_path: Path) -> None:
    lines = [
        b'{"docno": "a", "text": "cat"}',
        b'{"docno": "a", "text": "dog"}',
        b'{"docno": "b", "text": "\xff"}',
        b'{"docno": "c", "text": "x"}',
    ]
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "corpus.jsonl").write_bytes(b"\n".join(lines))
    told = ["index", "--dataset", tmp_path / "spoilt", "--model", model, "--out", tmp_path / "x.ance"]
    status, _, err = run(*told)
    assert status == 2
    assert "corpus.jsonl, line 3: expected UTF-8" in err
    for overwrite in ([], ["--overwrite"]):  # the second time from the cache
        status, out, err = run(*told, "--on-error", "skip", *overwrite)
        assert status == 0
        assert "2 documents, 2 vectors" in out
        assert len(re.findall(r"left out of the corpus: 1 × not UTF-8, first .*; 1 × duplicate docno, first 'a'$", err, re.MULTILINE)) == 1
    (tmp_path / "spoilt" / "queries.tsv").write_text("1\tcat\n2\tx\n")
    (tmp_path / "spoilt" / "qrels.txt").write_text("1 0 a 1\n2 0 c 1\n")
    status, out, err = run("eval", "--dataset", tmp_path / "spoilt", "--system", "bm25", "--system", f"dense={tmp_path / 'x.ance'}")
    assert (status, "2 queries" in out, "left out of the corpus" in err) == (0, True, True)
    assert run("search", tmp_path / "x.ance", "cat", "--dataset", tmp_path / "spoilt")[0] == 0
    assert run(*told, "--on-error", "raise", "--overwrite")[0] == 2


def test_info_of_a_reranker(run: Run, tmp_path: Path) -> None:
    cross_encoder(labels=2, pair_length=20).save(tmp_path / "bert")
    status, out, _ = run("info", tmp_path / "bert")
    assert status == 0
    assert "  logits          two; class 1 is the relevant one\n" in out
    assert "  pair_length     20\n" in out
    status, _, err = run("info", tmp_path / "bert", "--query-length", "9")
    assert status == 2
    assert "is a reranker, which has no text settings of a dense encoder" in err


def test_info_of_a_reader(run: Run, tmp_path: Path) -> None:
    reader("qa").save(tmp_path / "x")
    status, out, _ = run("info", tmp_path / "x")
    assert status == 0
    assert "  layout          reader\n" in out and "  pair_length " in out
    status, _, err = run("info", tmp_path / "x", "--text", "lower_case=yes")
    assert status == 2 and "is a reader" in err


def test_two_towers_that_were_published_apart_are_one_model(
    run: Run, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dpr(tmp_path / "dpr", dpr_encoders())
    pair = "dpr/question,dpr/context"
    status, out, err = run("index", "--dataset", collection, "--model", pair, "--out", "x.ance")
    assert (status, err.count("error")) == (0, 0)
    assert "5 documents, 5 vectors of 32 dimensions" in out
    monkeypatch.chdir(tmp_path.parent)
    status, out, _ = run("search", tmp_path / "x.ance", "the cat sleeps?")
    assert status == 0
    same = run("search", tmp_path / "x.ance", "the cat sleeps")[1]
    assert out.splitlines()[2:] == same.splitlines()[2:], "a question loses its mark"
    status, out, err = run("train", "--dataset", collection, "--model", tmp_path / "dpr", "--steps", "1", "--out", tmp_path / "run")
    assert status == 0, err
    assert run("info", tmp_path / "run")[1].count("separate ones for queries and passages") == 1


def test_search(index: Path, run: Run, collection: Path, tmp_path: Path) -> None:
    status, out, _ = run("search", index, "the cat sleeps", "-k", "3", "--dataset", collection)
    assert status == 0
    lines = out.split("\n")
    assert lines[1] == "1: the cat sleeps"
    assert [line.split()[0] for line in lines[2:5]] == ["1", "2", "3"]
    assert any("d1  the cat sleeps" in line for line in lines)
    run_file = tmp_path / "run.txt"
    status, out, _ = run("search", index, "--queries", collection / "queries.tsv", "--out", run_file, "--backend", "hnsw,efSearch=64")
    assert status == 0
    assert "15 results of 3 queries" in out
    found = read_run(run_file)
    assert sorted(found["qid"].unique()) == ["q1", "q2", "q3"]
    assert len(found) == 15


def test_a_search_without_queries_or_for_empty_ones(index: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("\n")
    status, _, err = run("search", index, "--queries", tmp_path / "q.tsv")
    assert (status, "q.tsv" in err) == (2, True)
    status, _, err = run("search", index, " ", "cat")
    assert (status, "1 of 2 queries" in err) == (0, True)
    assert run("search", index, "cat", "--out", tmp_path)[0] == 2


def test_precision(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    half = ("--precision", "bfloat16")
    status, _, err = run("index", "--dataset", collection, "--model", model, "--out", tmp_path / "x.ance", *half)
    assert status == 0, err
    assert AnceIndex(tmp_path / "x.ance").manifest["encoding"]["precision"] == "bfloat16"
    assert run("search", tmp_path / "x.ance", "the cat sleeps", *half)[0] == 0
    status, _, err = run("search", tmp_path / "x.ance", "the cat sleeps")
    assert status == 0, err
    told = ("--dataset", collection, "--system", f"dense={tmp_path / 'x.ance'}", "--out", tmp_path / "results")
    assert run("eval", *told, *half)[0] == 0
    assert run("search", tmp_path / "x.ance", "the cat sleeps", "--precision", "int4")[0] == 2
    assert get_args(Precision) == PRECISIONS


@pytest.mark.parametrize("command", [["train", "--negatives", "random"], ["train-reranker", "--fresh-head"]])
def test_what_is_trained_can_be_watched(run: Run, collection: Path, model: Path, tmp_path: Path, command: list[str]) -> None:
    pytest.importorskip("tensorboard")
    told = ["--dataset", collection, "--model", model, "--steps", "2", "--batch-size", "2", "--out", tmp_path / "run"]
    status, _, err = run(*command, *told, "--tensorboard")
    assert status == 0, err
    assert len(list((tmp_path / "run" / "tensorboard" / "train").iterdir())) == 1
    status, out, err = run("runs", "show", tmp_path / "run")
    assert status == 0, err
    assert "ended, 2 steps" in out


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_bench_encode(form: str, run: Run, collection: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pd.DataFrame([{"dataset": "d", "contender": "ance_ir", "texts/s": 1234.5, "mean cosine": 0.99951}])
    asked: dict[str, Any] = {}

    def bench(datasets: list[Dataset], model: str, **options: Any) -> pd.DataFrame:
        asked.update(options, datasets=len(datasets))
        return found

    monkeypatch.setattr("ance_ir.eval.bench.bench_encode", bench)
    told = ("--dataset", collection, "--dataset", collection, "--model", model, "--precision", "int8", "--documents", "7", "--format", form)
    status, out, err = run("bench", "encode", *told)
    assert status == 0, err
    assert (asked["datasets"], asked["documents"], asked["precisions"]) == (2, 7, ("int8",))
    last = {
        "text": "d          ance_ir    1,234       0.9995",
        "json": "]",
        "markdown": "| d | ance_ir | 1,234 | 0.9995 |",
    }
    assert out.splitlines()[-1].split() == last[form].split()
    if form == "json":
        assert json.loads(out)[0]["texts/s"] == 1234.5


def test_bench_ingest(run: Run, collection: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def bench(dataset: Dataset, model: str, **options: Any) -> pd.DataFrame:
        asked.append(options)
        return pd.DataFrame([{"stage": "reading", "passages/s": 149033.2, "÷ library": 23.04}])

    monkeypatch.setattr("ance_ir.eval.bench.bench_ingest", bench)
    told = ("--dataset", collection, "--model", model, "--length", "16", "--workers", "3")
    status, out, err = run("bench", "ingest", *told)
    assert status == 0, err
    assert out.splitlines()[-1].split() == ["reading", "149,033", "23.04"]
    run("bench", "ingest", *told, "--documents", "7")
    assert [(one["documents"], one["length"], one["workers"]) for one in asked] == [(20_000, 16, 3), (7, 16, 3)]
    status, _, err = run("bench", "ingest", *told, "--dataset", collection)
    assert (status, "ingest takes one dataset" in err) == (2, True)


def test_bench_pipeline(run: Run, collection: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def bench(dataset: Dataset, model: str, **options: Any) -> pd.DataFrame:
        asked.update(options)
        return pd.DataFrame([{"part": "BM25 build", "seconds": 1.5, "paper": ""}, {"part": "BM25", "seconds": np.nan, "paper": "37 ms"}])

    monkeypatch.setattr("ance_ir.eval.bench.bench_pipeline", bench)
    told = ("--dataset", collection, "--model", model, "--queries", "2", "--reranker", "x", "--backend", "exact")
    status, out, err = run("bench", "pipeline", *told)
    assert status == 0, err
    assert (asked["queries"], asked["reranker"], asked["backend"], asked["documents"]) == (2, "x", "exact", 1000)
    assert out.splitlines()[-1] == "BM25              –  37 ms"
    status, out, _ = run("bench", "pipeline", *told, "--format", "json")
    assert json.loads(out)[1] == {"part": "BM25", "seconds": None, "paper": "37 ms"}
    status, _, err = run("bench", "pipeline", *told, "--dataset", collection)
    assert (status, "pipeline takes one dataset" in err) == (2, True)


def test_eval(index: Path, run: Run, collection: Path, tmp_path: Path) -> None:
    systems = [
        "--system",
        "bm25",
        "--system",
        f"dense={index}[aggregation=mean; backend=faiss]",
        "--system",
        f"cascade=bm25 % 2 >> {index}",
    ]
    out_folder = tmp_path / "results"
    status, out, _ = run("eval", "--dataset", collection, *systems, "--baseline", "bm25", "--measure", "MRR@10", "--out", out_folder)
    assert status == 0
    assert [line.split()[0] for line in out.split("\n")[2:5]] == ["bm25", "dense", "cascade"]
    results = json.loads((out_folder / "results.json").read_text())
    assert results["systems"]["bm25"]["measures"]["RR@10"] == 1.0
    assert results["settings"]["split"] == "test"
    assert {path.name for path in (out_folder / "runs").glob("*.gz")} == {"bm25.txt.gz", "dense.txt.gz", "cascade.txt.gz"}
    status, out, _ = run("eval", "--dataset", collection, *systems, "--baseline", "bm25", "--test", "wilcoxon", "--out", out_folder)
    assert status == 0
    assert re.match(r"used again from .*dense", out)
    assert "Wilcoxon signed-rank test" in out
    cascade = read_run(out_folder / "runs" / "cascade.txt.gz")
    assert cascade.groupby("qid").size().max() <= 2


def test_eval_of_pipelines_in_a_file(run: Run, collection: Path, tmp_path: Path) -> None:
    code = "from ance_ir.pipelines import systems\n\ndef pipelines(dataset):\n    return {'mine': systems.get('bm25 % 2', dataset)}\n"
    (tmp_path / "mine.py").write_text(code)
    told = ["--dataset", collection, "--pipelines", tmp_path / "mine.py", "--out", tmp_path / "results"]
    for systems, names in ([], ["mine"]), (["--system", "bm25", "--system", "cut=mine % 1"], ["bm25", "cut"]):
        status, out, err = run("eval", *told, *systems)
        assert status == 0, err
        assert [line.split()[0] for line in out.split("\n")[2 : 2 + len(names)]] == names
    (tmp_path / "mine.py").write_text("x = 1 / 0")
    status, _, err = run("eval", *told)
    assert (status, "line 1: ZeroDivisionError" in err) == (2, True)


def test_a_mistake_in_a_system_is_pointed_at(run: Run, collection: Path) -> None:
    status, _, err = run("eval", "--dataset", collection, "--system", "x=bm25 % ten")
    assert status == 2
    assert err.splitlines()[-3:] == [
        "ance-ir: error: expected a number of documents after %, found 'ten'",
        "  x=bm25 % ten",
        "           ^",
    ]


def test_systems(run: Run) -> None:
    status, out, _ = run("systems")
    assert status == 0
    assert "bm25+dpr\n  the weighted sum" in out
    assert all(f"{name}(a, b)\n" in out for name in FUSIONS)
    assert "  = bm25 + 1.1 * dpr\n  needs facebook/dpr-question_encoder-multiset-base\n" in out
    status, out, _ = run("systems", "--format", "json")
    assert status == 0
    assert {"name", "expression", "what", "needs"} == set(json.loads(out)[0])


def test_eval_of_others_runs_and_of_answers(run: Run, collection: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(collection, tmp_path / "answered")
    queries = [line.split("\t") for line in (folder / "queries.tsv").read_text(encoding="utf-8").splitlines()]
    lines = [
        json.dumps({"qid": qid, "question": text, "answers": ["cat"] if place else ["dog"]}) for place, (qid, text) in enumerate(queries)
    ]
    (folder / "answers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "theirs.tsv").write_text(f"{queries[0][0]}\td2\t2\n{queries[0][0]}\td1\t1\n", encoding="utf-8")
    ours = ["--run", tmp_path / "theirs.tsv", "--run", f"again={tmp_path / 'theirs.tsv'}"]
    measures = ["--measure", "Coverage@1", "--measure", "Coverage@2", "--measure", "Overlap(run='theirs')@2"]
    out = tmp_path / "results"
    status, _, err = run("eval", "--dataset", folder, *ours, *measures, "--out", out)
    assert status == 0, err
    found = json.loads((out / "results.json").read_text())["systems"]
    assert list(found) == ["theirs", "again"]
    share = pytest.approx(1 / len(queries))
    assert found["again"]["measures"] == {"Coverage@1": 0.0, "Coverage@2": share, "Overlap(run='theirs')@2": share}
    assert found["again"]["ms_per_query"] is None
    (folder / "qrels.txt").unlink()  # no measure needs them
    assert run("eval", "--dataset", folder, "--system", "bm25", *ours, *measures, "--out", out)[0] == 0
    for wrong, message in (
        ([], "--system"),
        (["--run", "nothing.txt"], "there is no file nothing.txt"),
        ([*ours, "--run", tmp_path / "theirs.tsv"], "two runs are called 'theirs'"),
    ):
        status, _, err = run("eval", "--dataset", folder, *wrong, *measures, "--out", out)
        assert status == 2
        assert message in err
    status, _, err = run("eval", "--dataset", collection, *ours, *measures, "--out", out)
    assert status == 2
    assert "Coverage@1 needs answers to the questions" in err


@pytest.mark.parametrize("form", FORMS)
def test_eval_tells_in_several_forms(form: str, run: Run, collection: Path, tmp_path: Path) -> None:
    page = tmp_path / "report" / "x.html"
    told = ["--dataset", collection, "--system", "bm25", "--system", "one=bm25 % 1", "--measure", "RR@10", "--measure", "R@2"]
    status, out, err = run("eval", *told, "--out", tmp_path / "results", "--format", form, "--report", page)
    assert status == 0, err
    assert "the cat sleeps" in page.read_text(encoding="utf-8")
    found = "warning: one: no query has more than 1 result, too few for RR@10, R@2"
    assert found in (out if form == "text" else err)
    assert "3 of 3 queries (100.0%) are among the training queries" in out + err
    if form == "json":
        assert set(json.loads(out)["systems"]) == {"bm25", "one"}
    elif form != "text":
        assert "results.json" not in out and found not in out


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_eval_says_at_once_where_nothing_can_be_written(option: str, run: Run, collection: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    places = {"--out": tmp_path / "r", "--report": tmp_path / "r.html"} | {option: tmp_path / "file" / "x.html"}
    told = [word for place in places.items() for word in place]
    status, out, err = run("eval", "--dataset", collection, "--system", "bm25", *told)
    assert (status, out) == (2, "")
    assert f"{option}: no file can be written in {tmp_path / 'file'}" in err
    assert not (tmp_path / "r" / "results.json").exists()


def _train(run: Run, collection: Path, model: Path, out: Path, *more: str) -> tuple[int, str, str]:
    told = ["--dataset", collection, "--model", model, "--out", out, "--steps", "4", "--batch-size", "2", "--refresh-every", "2"]
    return run("train", *told, "--learning-rate", "1e-3", *more)


def test_dev_queries_of_another_dataset(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    other, another = tmp_path / "other", tmp_path / "another"
    for place in (other, another):
        shutil.copytree(collection, place)
    (another / "corpus.jsonl").write_text('{"docno": "d1", "text": "the cat sleeps"}\n')
    status, out, err = _train(run, collection, model, tmp_path / "run", "--negatives", "random", "--dev-dataset", str(other))
    assert status == 0, err
    assert "other, test RR@10" in out
    for name, expected in (("no-such", "no dataset 'no-such'"), (str(another), f"{another.name} has others")):
        status, _, err = _train(run, collection, model, tmp_path / "x", "--negatives", "random", "--dev-dataset", name)
        assert status == 2
        assert expected in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("negatives", [pytest.param("ance", marks=pytest.mark.rehearsal), "bm25", "random"])
def test_train(run: Run, collection: Path, model: Path, tmp_path: Path, negatives: str) -> None:
    status, out, err = _train(run, collection, model, tmp_path / "run", "--negatives", negatives, "--dev-split", "test", "--depth", "3")
    assert status == 0, err
    for told in ("refresh at step 0", "refresh at step 2", "test RR@10", "suspected false negatives"):
        assert told in out
    assert ("GiB predicted" in out) == (negatives == "ance")
    status, _, err = run("index", "--dataset", collection, "--model", tmp_path / "run", "--out", tmp_path / "x.ance")
    assert status == 0, err
    status, _, err = _train(run, collection, model, tmp_path / "run", "--negatives", negatives, "--depth", "3", "--seed", "7")
    assert status == 2
    assert "settings.seed was 42, is 7" in err


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (["--draw", "top", "--negatives-per-query", "2"], {"negatives": {"draw": "top"}}),
        (["--draw", "score"], {"negatives": {"draw": "score", "temperature": 1.0}}),
        (["--skip", "1", "--margin", "-3", "--rotation", "2"], {"refresh": {"skip": 1, "margin": -3.0, "rotation": 2}}),
        (["--relative-margin", "0.05", "--max-score", "90"], {"refresh": {"relative_margin": 0.05, "max_score": 90.0}}),
        (["--filter-teacher", "RERANKER", "--filter-teacher-margin", "0.5"], {"refresh": {"teacher_margin": 0.5}}),
        (["--reuse", "INDEX", "--passages", "maxp:16,2"], {"passages": "maxp:16,2"}),
    ],
)
def test_options_of_mining(
    run: Run, collection: Path, model: Path, reranker: Path, tmp_path: Path, told: list[str], kept: dict[str, Any]
) -> None:
    places = {"RERANKER": str(reranker), "INDEX": str(tmp_path / "first" / "negatives" / "step-000002" / "index.ance")}
    told = [places.get(option, option) for option in told]
    start = model
    if "--reuse" in told:
        assert _train(run, collection, model, tmp_path / "first", "--depth", "3", "--passages", "maxp:16,2")[0] == 0
        start = tmp_path / "first" / "checkpoints" / "step-000002" / "model"
    status, out, err = _train(run, collection, start, tmp_path / "run", "--depth", "3", *told)
    assert status == 0, err
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    for part, expected in kept.items():
        assert manifest[part] == expected or expected.items() <= manifest[part].items()
    assert ("refresh at step 0: " in out) and ("documents encoded 0," in out) == ("--reuse" in told)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--negatives", "bm25", "--skip", "2", "--draw", "top"], "draw, skip: only ance negatives are mined, the negatives are bm25"),
        (["--inferencer-devices", "cuda:7"], "the device 'cuda:7'"),
        (["--inferencers", "2", "--inferencer-devices", "cpu"], "2 inferencers and 1 devices for them do not agree"),
        (["--inferencers", "-1"], "--inferencers is at least 0"),
        (["--negatives", "random", "--inferencers", "1"], "with random negatives and no dev split they have nothing to do"),
        (["--rotation", "0"], "rotation"),
        (["--mining-backend", "hnsw+gzip"], "'gzip' is no part of a family"),
        (["--mining-backend", "tuned"], "a family, such as hnsw+sq8"),
        (["--mining-backend", "ivf", "--negatives", "bm25"], "backend: only ance negatives are mined"),
        (["--seed", "-3"], "seed is at least 0, not -3"),
        (["--reuse", "COLLECTION"], "no manifest.json"),
        (["--out", "FILE"], "is a file; a folder was expected"),
    ],
)
def test_training_refuses(run: Run, collection: Path, model: Path, tmp_path: Path, told: list[str], said: str) -> None:
    (tmp_path / "file").write_text("x")
    places = {"COLLECTION": str(collection), "FILE": str(tmp_path / "file")}
    status, _, err = _train(run, collection, model, tmp_path / "run", *(places.get(option, option) for option in told))
    assert status == 2
    assert said in err
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "cross"
    cross_encoder().save(folder)
    return folder


def _train_reranker(run: Run, collection: Path, model: Path, out: Path, *more: Any) -> tuple[int, str, str]:
    told = ["--dataset", collection, "--model", model, "--out", out, "--steps", "4", "--batch-size", "2", "--checkpoint-every", "2"]
    return run("train-reranker", *told, "--learning-rate", "1e-3", "--depth", "3", *more)


@pytest.mark.parametrize(("negatives", "loss"), [("bm25", "nll"), ("random", "hinge"), ("RUN", "hinge"), ("bm25 % 4 >> INDEX", "nll")])
def test_train_reranker(run: Run, collection: Path, reranker: Path, index: Path, tmp_path: Path, negatives: str, loss: str) -> None:
    (tmp_path / "run.txt").write_text("".join(f"q{query} Q0 d{number} 0 {number} x\n" for query in (1, 2, 3) for number in range(1, 6)))
    negatives = negatives.replace("RUN", str(tmp_path / "run.txt")).replace("INDEX", str(index))
    told = ["--negatives", negatives, "--loss", loss, "--dev-split", "test", "--dev-depth", "2"]
    status, out, err = _train_reranker(run, collection, reranker, tmp_path / "bert", *told)
    assert status == 0, err
    assert [line.split(":")[0] for line in out.split("\n") if "RR@10" in line] == ["after step 2", "after step 4"]
    systems = ["--system", "bm25", "--system", f"bert=bm25 % 2 >> {tmp_path / 'bert'}"]
    status, _, err = run("eval", "--dataset", collection, *systems, "--out", tmp_path / "results")
    assert status == 0, err
    status, _, err = _train_reranker(run, collection, reranker, tmp_path / "bert", *told, "--seed", "7")
    assert (status, err.count("ance-ir: error")) == (2, 1)
    assert "settings.seed was 42, is 7" in err


def test_a_fresh_head_is_asked_for(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    status, _, err = _train_reranker(run, collection, model, tmp_path / "bert")
    assert status == 2
    assert "--fresh-head" in err
    status, _, err = _train_reranker(run, collection, model, tmp_path / "bert", "--fresh-head", "--pair-length", "20")
    assert status == 0, err
    status, _, err = run("index", "--dataset", collection, "--model", tmp_path / "bert", "--out", tmp_path / "x.ance")
    assert status == 2


def test_a_run_file_that_changed_is_another_source(run: Run, collection: Path, reranker: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    for number, wanted in ((2, 0), (4, 2)):
        path.write_text(f"q1 Q0 d{number} 0 1 x\n")
        status, _, err = _train_reranker(run, collection, reranker, tmp_path / "bert", "--negatives", path)
        assert status == wanted, err
    assert "negatives.candidates was " in err


@pytest.mark.parametrize(
    "told",
    [
        ["--negatives", "in-batch"],
        ["--negatives", "nce", "--loss", "hinge"],
        ["--negatives", "in-batch+2*bm25+random", "--negatives-per-query", "2", "--grad-cache"],
        ["--negatives", "bm25+random", "--loss", "bce", "--dimensions", "16,8"],
        ["--negatives", "ance", "--warm-up", "in-batch", "--loss", "nll"],
        ["--negatives", "random", "--optimiser", "lamb", "--schedule", "cosine", "--loss", "nll", "--bfloat16"],
        ["--negatives", "random", "--optimiser", "adafactor", "--schedule", "constant", "--loss", "nll", "--gradient-checkpointing"],
    ],
    ids=" ".join,
)
def test_schemes_of_training(run: Run, collection: Path, model: Path, tmp_path: Path, told: list[str]) -> None:
    status, out, err = _train(run, collection, model, tmp_path / "run", *told)
    assert status == 0, err
    assert ("refresh at step 2" in out) == ("ance" in told[1])
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["loss"] == (told[told.index("--loss") + 1] if "--loss" in told else "nll")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 4
    assert len(set(losses)) > 1


@pytest.mark.parametrize("layers", [0, 1])
def test_a_shortened_encoder_is_trained_and_goes_on(run: Run, collection: Path, model: Path, tmp_path: Path, layers: int) -> None:
    for _ in range(2):
        status, _, err = _train(run, collection, model, tmp_path / "run", "--negatives", "random", "--layers", str(layers))
        assert status == 0, err
    parts = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["grad_norms"].keys()
    assert parts == ({"embeddings", "layer 1"} if layers else {"embeddings"})
    assert f"the first {layers} of 2 layers" not in run("info", tmp_path / "run")[1], "what was saved has no others"
    status, _, err = _train(run, collection, model, tmp_path / "other", "--layers", "3")
    assert status == 2
    assert "has 2 layers, of which 0 to 2 can be kept, not 3" in err


def test_study(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    told = [
        "--dataset",
        collection,
        "--model",
        model,
        "--out",
        tmp_path / "study",
        "--layers",
        "0",
        "--depth",
        "3",
        "--passage-length",
        "9",
    ]
    told += ["--depth", "3", "--steps", "4", "--batch-size", "2", "--scheme", "random", "--scheme", "bm25 -> ance"]
    status, out, err = run("study", "negatives", *told, "--seeds", "7,9")
    assert status == 0, err
    assert "4 of 4: bm25 -> ance, seed 9: test RR@10" in out
    assert "| bm25 -> ance |" in out
    settings = json.loads((tmp_path / "study" / "study.json").read_text())["settings"]
    expected = {"layers": 0, "seeds": [7, 9], "refresh_every": 1, "depth": 3, "schemes": ["random", "bm25 -> ance"], "passage_length": 9}
    assert {name: settings[name] for name in expected} == expected
    status, _, err = run("study", "negatives", *told, "--seeds", "2")
    assert (status, err.count("\n")) == (2, 1)
    assert "holds a study with other settings: seeds was [7, 9], is [42, 43]" in err
    assert run("study", "negatives", *told, "--seeds", "0")[0] == 2
    assert run("study", "negatives", *told, "--seeds", "7,")[2].count("seeds was [7, 9], is [7]") == 1


def test_the_defaults_of_a_study_are_those_of_its_settings() -> None:
    options = {option.name: option.default for option in cli_study.negatives.params}
    fields = {field.name: field.default for field in dataclasses.fields(StudySettings)}
    for name in ("model", "steps", "batch_size", "learning_rate", "warm_up_share", "depth", "split", "test_split"):
        assert options[name] == fields[name]
    assert options["steps"] // 4 == fields["refresh_every"]
    assert options["seeds"] == str(len(fields["seeds"]))
    told = " ".join(str(cli_study.negatives.help).replace('"', "").split())
    assert all(re.search(rf"[ ,]{re.escape(scheme)}(,| and|\.)", told) for scheme in SCHEMES)


def test_a_reranker_teaches(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    cross_encoder().save(tmp_path / "teacher")
    told = ["--negatives", "random", "--loss", "margin-mse", "--teacher", str(tmp_path / "teacher")]
    status, _, err = _train(run, collection, model, tmp_path / "run", *told)
    assert status == 0, err
    status, _, err = _train(run, collection, model, tmp_path / "other", *told[:4])
    assert status == 2
    assert "the loss is margin-mse" in err


def test_the_data_bring_negatives_and_scores(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    shutil.copytree(collection, given)
    instances = [
        {"qid": qid, "positives": [docno], "negatives": ["d2", "d5"], "positive_scores": [2], "negative_scores": [1.5, -1]}
        for qid, docno in (("q1", "d1"), ("q2", "d3"), ("q3", "d4"))
    ]
    (given / "instances.train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in instances))
    told = ["--negatives", "dataset", "--loss", "kl", "--teacher-scores"]
    status, _, err = _train(run, given, model, tmp_path / "run", *told, "dataset")
    assert status == 0, err
    (tmp_path / "scores.txt").write_text("q1 Q0 d1 1 2.0 x\nq2 Q0 d2 1 0.5 x\n")
    status, _, err = _train(run, given, model, tmp_path / "other", *told, str(tmp_path / "scores.txt"))
    assert (status, err.count("ance-ir: error")) == (2, 1)
    assert "2 of 3" in err
    assert "'q2'" in err
    status, _, err = _train(run, given, model, tmp_path / "other", *told, str(tmp_path / "no.txt"))
    assert (status, err.count("ance-ir: error")) == (2, 1)
    status, _, err = _train(run, collection, model, tmp_path / "other", "--negatives", "dataset")
    assert (status, err.count("ance-ir: error")) == (2, 1)


def test_several_training_sets(run: Run, collection: Path, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(collection, other)
    (other / "corpus.jsonl").write_text((other / "corpus.jsonl").read_text().replace("the cat sleeps", "a cat that sleeps"))
    told = ["--dataset", other, "--split", "train", "--split", "test", "--weight", "3", "--weight", "1", "--depth", "2"]
    status, out, err = _train(run, collection, model, tmp_path / "run", *told)
    assert status == 0, err
    assert f"--dataset {collection} " in out
    sets = json.loads((tmp_path / "run" / "run.json").read_text())["dataset"]["sets"]
    assert [(one["split"], one["weight"]) for one in sets] == [("train", 3), ("test", 1)]
    for wrong in (["--weight", "3"], ["--split", "train"] * 3, ["--weight", "0", "--weight", "1"], ["--weight", "9", "--weight", "1"]):
        status, _, err = _train(run, collection, model, tmp_path / "run", "--dataset", other, *wrong)
        assert (status, err.count("ance-ir: error")) == (2, 1)


def test_an_index_of_another_model_is_refused(
    index: Path, run: Run, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder(seed=5).save(tmp_path / "other")
    status, _, err = run("eval", "--dataset", collection, "--system", str(index), "--model", tmp_path / "other")
    assert (status, err.count("\n")) == (2, 1)
    assert "was built with" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "--dataset", "no-such-thing", "--system", "bm25"], "no-such-thing"),
        (
            ["eval", "--dataset", "COLLECTION", "--system", "bm26"],
            "unknown stage 'bm26'. Did you mean 'bm25'?",
        ),
        (
            ["eval", "--dataset", "COLLECTION", "--system", "x=INDEX[depth=3]"],
            "has the options backend, aggregation, prf, adaptive, graph, not 'depth'",
        ),
        (["eval", "--dataset", "COLLECTION", "--system", "INDEX[aggregation=median]"], "'median'"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25 >> INDEX[backend=faiss]"], "backend= is for an index that retrieves"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25 % 0"], "a cut-off is at least 1, not 0"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25 % 10 >> bm25"], "bm25 only retrieves"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25 >>"], "expected a stage, found the end"),
        (["eval", "--dataset", "COLLECTION"], "name a system with --system, a file with --run, or a file of pipelines with --pipelines"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25-bert-rerank"], "no model 'castorini/monobert-large-msmarco'"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25", "--system", "bm25"], "two systems are called 'bm25'"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25", "--baseline", "x"], "the baseline 'x' is none of the systems"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25", "--measure", "goodness"], "goodness"),
        (["eval", "--dataset", "COLLECTION", "--system", "bm25", "--split", "dev"], "dev"),
        (["index", "--dataset", "COLLECTION", "--model", "nope", "--out", "OUT"], "no model 'nope'"),
        (["index", "--dataset", "COLLECTION", "--passages", "maxp:9", "--out", "OUT", "--model", "MODEL", "--device", "nix"], "nix"),
        (["index", "--dataset", "COLLECTION", "--model", "MODEL", "--passages", "longp", "--out", "OUT"], "'longp'"),
        (
            ["index", "--dataset", "COLLECTION", "--model", "MODEL", "--passages", "maxp:500,2", "--out", "OUT"],
            "more than the 64 that the model takes",
        ),
        (["info", "nope"], "no model 'nope'"),
        (["info", "COLLECTION", "--as", "model"], "no config.json, so this is no checkpoint folder"),
        (["info", "MODEL", "--text", "colour=red"], "a text setting is NAME=VALUE with one of the names query_length"),
        (["index", "--dataset", "COLLECTION", "--model", "MODEL", "--text", "lower_case=perhaps", "--out", "OUT"], "is yes or no"),
        (["train", "--dataset", "COLLECTION", "--model", "MODEL", "--head", "ance", "--out", "OUT", "--steps", "1"], "no bare backbone"),
        (["search", "COLLECTION", "x"], "no manifest.json"),
        (["search", "COLLECTION"], "give queries"),
        (["search", "nowhere", "x"], "nowhere"),
        (["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "OUT", "--steps", "0"], "steps is at least 1"),
        (["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "COLLECTION", "--steps", "1"], "is no training run, but holds"),
        (
            [*RERANKER, "0"],
            "steps is at least 1",
        ),
        (
            [*RERANKER, "1", "--depth", "0"],
            "at least 1 document, not 0",
        ),
        (
            [*RERANKER, "1", "--negatives", "x"],
            "unknown stage 'x'",
        ),
        (
            ["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "OUT", "--steps", "1", "--dimensions", "4,x"],
            "numbers with commas between them were expected, not '4,x'",
        ),
        (
            [
                "train",
                "--dataset",
                "COLLECTION",
                "--model",
                "MODEL",
                "--out",
                "OUT",
                "--steps",
                "9",
                "--warm-up",
                "bm25",
                "--warm-up-until",
                "7",
            ],
            "a multiple of 1000 steps, not at 7",
        ),
        (
            ["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "OUT", "--steps", "1", "--negatives", "bm26"],
            "unknown stage 'bm26'",
        ),
        (
            ["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "OUT", "--steps", "9", "--warm-up", "bm25"],
            "before step 9, not at 1000",
        ),
        (
            ["train", "--dataset", "COLLECTION", "--model", "MODEL", "--out", "OUT", "--steps", "9", "--warm-up-until", "2"],
            "warm_up_until 2",
        ),
        (["demo", "--out", "COLLECTION"], "holds something else than a demo"),
        (["demo", "--out", "OUT", "--steps", "0"], "steps is at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Run, collection: Path, model: Path, index: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"COLLECTION": str(collection), "MODEL": str(model), "INDEX": str(index), "OUT": str(tmp_path / "out")}
    status, _, err = run(*[re.sub("|".join(places), lambda match: places[match[0]], argument) for argument in arguments])
    assert status == 2
    said = [line for line in err.split("\n") if line.startswith("ance-ir: error: ")]
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists(), "nothing half-written stays"
