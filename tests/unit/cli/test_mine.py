"""``ance-ir mine``: what is written and said, wrong input in one line, and a process that is killed."""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path

import pytest

from ance_ir.eval.runs import read_run
from tests.command import Run
from tests.processes import start_command
from tests.tiny import WORDS, cross_encoder

LONG_WORDS = list(dict.fromkeys(word for word in WORDS if len(word) > 4))[:30]
"""None of them is a stop word."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """870 documents of two words, and 200 queries that are the first 200 of them, each with that one as its positive."""
    folder = tmp_path_factory.mktemp("collection")
    texts = [" ".join(pair) for pair in itertools.permutations(LONG_WORDS, 2)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    (folder / "queries.train.tsv").write_text("".join(f"q{n}\t{text}\n" for n, text in enumerate(texts[:200])))
    (folder / "qrels.train.txt").write_text("".join(f"q{n} 0 d{n} 1\n" for n in range(200)))
    return folder


def test_negatives_and_what_is_said_of_them(collection: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "train.jsonl"
    told = ["--dataset", collection, "--system", "bm25", "--depth", "20", "--negatives-per-query", "3", "--seed", "1"]
    status, said, err = run("mine", *told, "--format", "tevatron", "--out", out, "--examples", "2", "--scores", "--skip", "1")
    assert status == 0, err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for row in rows:
        (positive,) = row["positive_passages"]
        assert positive["docid"] == f"d{row['query_id'][1:]}"
        scores = [passage["score"] for passage in row["negative_passages"]]
        assert scores == sorted(scores, reverse=True)
        assert positive["docid"] not in {passage["docid"] for passage in row["negative_passages"]}
    assert f"{len(rows)} of 200 queries have negatives: {sum(len(row['negative_passages']) for row in rows):,}" in said
    assert said.count("\nquery q") == 2
    assert not (tmp_path / "train.jsonl.mining").exists()
    status, said, err = run("mine", *told, "--format", "trec", "--out", tmp_path / "run.gz", "--compare-with", out)
    assert status == 0, err
    assert "overlap: " in said
    run_of = read_run(tmp_path / "run.gz")
    assert not (run_of["docno"].str[1:] == run_of["qid"].str[1:]).any()


def test_filters(collection: Path, tmp_path: Path, run: Run) -> None:
    """The texts that share one of the two words score about half of what the positive does."""
    cross_encoder().save(tmp_path / "teacher")
    told = ["--dataset", collection, "--system", "bm25", "--format", "tevatron", "--depth", "30", "--draw", "top", "--margin", ".1"]
    status, said, err = run("mine", *told, "--relative-margin", ".8", "--out", tmp_path / "x.jsonl")
    assert status == 0, err
    assert "relative-margin " in said
    teacher = ["--filter-teacher", tmp_path / "teacher", "--filter-teacher-margin", ".01"]
    status, said, err = run("mine", *told, *teacher, "--out", tmp_path / "y.jsonl")
    assert status == 0, err
    assert "filter-teacher " in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--dataset", "nowhere"], "nowhere"),
        (["--split", "dev"], "dev"),
        (["--system", "bm52"], "bm52"),
        (["--system", "bm25 >>"], "bm25 >>"),
        (["--format", "tevatrom"], "Did you mean 'tevatron'"),
        (["--format", "beir"], "'beir'"),
        (["--out", "THERE"], "exists"),
        (["--out", "THERE/x"], "THERE"),
        (["--draw", "best"], "uniform, top, score"),
        (["--negatives-per-query", "0"], "negatives_per_query is at least 1, not 0"),
        (["--depth", "3"], "7 negatives a query cannot be drawn from a depth of 3"),
        (["--relative-margin", "nan"], "relative_margin"),
        (["--filter-teacher-margin", "1"], "needs a teacher"),
        (["--compare-with", "missing.run"], "missing.run"),
        (["--examples", "200"], "200"),
        (["--format", "colbert", "--out", "NEW.jsonl"], "integers"),
    ],
)
def test_wrong_input_is_refused_in_one_line(collection: Path, tmp_path: Path, run: Run, told: list[str], said: str) -> None:
    (tmp_path / "there").write_text("x")
    places = {"THERE": tmp_path / "there", "THERE/x": tmp_path / "there" / "x", "NEW.jsonl": tmp_path / "new.jsonl"}
    options = {"--dataset": collection, "--system": "bm25", "--format": "tevatron", "--out": tmp_path / "out.jsonl"}
    options |= dict(zip(told[::2], [places.get(value, value) for value in told[1::2]], strict=True))
    status, out, err = run("mine", *itertools.chain(*options.items()))
    assert (status, out) == (2, "")
    error = [line for line in err.splitlines() if line.startswith(("ance-ir: error", "Error"))]
    assert len(error) == 1
    assert said.replace("THERE", str(tmp_path / "there")) in err
    assert (tmp_path / "there").read_text() == "x"
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.slow
def test_a_killed_process_is_resumed_and_writes_the_same_file(collection: Path, tmp_path: Path, run: Run) -> None:
    cross_encoder().save(tmp_path / "teacher")
    told = ["mine", "--dataset", collection, "--system", "bm25", "--format", "tevatron", "--filter-teacher", tmp_path / "teacher"]
    assert run(*told, "--out", tmp_path / "whole.jsonl")[0] == 0
    out = tmp_path / "killed.jsonl"
    process = start_command(*told, "--out", out)
    first = out.with_name("killed.jsonl.mining") / "block-000000.npz"
    until = time.monotonic() + 240
    while not first.exists() and process.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
    assert not out.exists()
    written = first.stat().st_mtime_ns
    status, _, err = run(*told, "--out", out, "--depth", "199")
    assert status == 2
    assert "depth was 200, is 199" in err
    assert first.stat().st_mtime_ns == written
    assert run(*told, "--out", out)[0] == 0
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not first.parent.exists()
