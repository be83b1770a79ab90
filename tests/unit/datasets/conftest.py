"""A small collection directory, and a cache for each test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DOCUMENTS = [
    {"docno": "d1", "title": "Cats", "url": "http://cats", "text": "Cats sleep  all day."},
    {"docno": "größe/日本", "text": "Dogs bark."},
    {"docno": "3", "title": "Cats", "text": "Cats sleep all\tday."},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ANCE_IR_CACHE", str(folder))
    monkeypatch.delenv("ANCE_IR_DATA", raising=False)
    return folder


@pytest.fixture
def documents() -> list[dict[str, str]]:
    return [dict(document) for document in DOCUMENTS]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), encoding="utf-8")
    (folder / "queries.tsv").write_text("q1\twho sleeps\n\nq2\twho barks\n", encoding="utf-8")
    (folder / "queries.dev.tsv").write_text("q9\twho\n", encoding="utf-8")
    (folder / "qrels.txt").write_text("q1 0 d1 2\nq1\t0\t3\t1\nq2 0 größe/日本 -1\n", encoding="utf-8")
    (folder / "answers.jsonl").write_text('{"qid": "q1", "question": "who sleeps", "answers": ["cats", "a cat"]}\n', encoding="utf-8")
    (folder / "run.bm25.txt").write_text("q1 Q0 d1 1 2.5 bm25\n", encoding="utf-8")
    (folder / "run.bm25.dev.txt").write_text("q9 Q0 d1 1 2.5 bm25\n", encoding="utf-8")
    return folder
