"""Rerankers that answer by a token, on the command line: shown, evaluated as stages, trained."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ance_ir.models import CrossEncoder
from tests.answering import write_language_model, write_t5
from tests.command import Run


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "collection"
    folder.mkdir()
    texts = {
        "d1": "the cat sleeps",
        "d2": "a dog and a cat",
        "d3": "the fish swims",
        "d4": "a king and a queen",
        "d5": "the cat and the moon",
    }
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in texts.items()))
    for split in ("", ".train"):
        (folder / f"queries{split}.tsv").write_text("q1\twho is the cat\nq2\twhat swims fish\nq3\tking queen\n")
        (folder / f"qrels{split}.txt").write_text("q1 0 d1 1\nq2 0 d3 1\nq3 0 d4 2\n")
    return folder


def test_as_stages_of_systems(run: Run, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_t5(tmp_path / "monot5")
    write_language_model(tmp_path / "qwen")
    status, out, err = run(
        "eval", "--dataset", collection, "--system", "t5=bm25 % 10 >> ./monot5", "--system", "plain=bm25 % 10 >> ./qwen",
        "--system", "told=bm25 % 10 >> ./qwen[instruction=Find the moon and the stars]", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, err
    assert "plain" in out and "monot5 does not say how it reads a pair" in err
    plain, told = (gzip.decompress((tmp_path / "out" / "runs" / f"{name}.txt.gz").read_bytes()) for name in ("plain", "told"))
    assert plain.split() and plain != told.replace(b"told", b"plain")
    status, _, err = run("eval", "--dataset", collection, "--system", "bm25 % 10 >> ./monot5[instruction=Find law]")
    assert status == 2
    assert "'Find law' has no place" in err and "Traceback" not in err


def test_info(run: Run, tmp_path: Path) -> None:
    CrossEncoder.from_pretrained(write_language_model(tmp_path / "hf"), device="cpu").save(tmp_path / "x")
    status, out, _ = run("info", tmp_path / "x")
    assert status == 0
    assert "of the next token: 'yes' against 'no'" in out
    assert "  instruction     'Given a web search query'\n" in out
    assert "  answers         yes,no\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_language_model, write_t5])
def test_training(run: Run, collection: Path, tmp_path: Path, write: Callable[[Path], Path]) -> None:
    start = write(tmp_path / "hf")
    told = ["train-reranker", "--dataset", collection, "--model", start, "--negatives", "random", "--batch-size", 3, "--no-dropout"]
    status, _, err = run(*told, "--negatives-per-query", 2, "--steps", 30, "--learning-rate", 3e-3, "--out", tmp_path / "run")
    assert status == 0, err
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines() if "loss" in line]
    assert losses[-1] < losses[0] / 2
    before, after = (CrossEncoder.from_pretrained(path, device="cpu") for path in (start, tmp_path / "run"))
    assert after.settings == before.settings
    assert not all(torch.equal(one, other) for one, other in zip(before.parameters(), after.parameters(), strict=True))
