"""What a dataset holds, and what looks odd in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir.datasets import describe, load_dataset
from ance_ir.errors import DatasetError


def test_counts_and_splits(collection: Path) -> None:
    found = describe(load_dataset(collection))
    assert found.corpus is not None
    assert (found.corpus.documents, found.corpus.titles, found.corpus.words) == (3, 2, 10)
    assert found.corpus.first is not None
    assert found.corpus.first["docno"] == "d1"
    assert found.query == "who sleeps"
    assert found.splits["split"].tolist() == ["test", "dev"]
    assert found.splits["queries"].tolist() == [2, 1]
    assert found.splits["relevant"].dropna().tolist() == [2]
    assert found.splits["answers"].dropna().tolist() == [2]
    assert "negatives" not in found.splits.columns


def test_what_looks_odd_is_said(collection: Path) -> None:
    with (collection / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"docno": "d1", "text": "again"}\n{"docno": "e", "text": " "}\n{"docno": "a b", "text": "x"}\n')
    (collection / "queries.tsv").write_text("q1\twho\nq2\twho\nq3\t\n", encoding="utf-8")
    (collection / "qrels.txt").write_text("q1 0 nowhere 1\nq9 0 d1 1\nq2 0 d1 0\n", encoding="utf-8")
    odd = "\n".join(describe(load_dataset(collection)).odd)
    documents = ("no document", "'a b'", "empty text", "1 documents have a docno")
    for part in (*documents, "'nowhere'", "'q9'", "'q2'", "queries are empty", "earlier one"):
        assert part in odd, part


def test_nothing_is_odd_in_a_sound_collection(collection: Path) -> None:
    (collection / "qrels.txt").write_text("q1 0 d1 1\nq2 0 3 1\n", encoding="utf-8")
    (collection / "corpus.jsonl").write_text('{"docno": "d1", "text": "x"}\n{"docno": "3", "text": "y"}\n', encoding="utf-8")
    assert describe(load_dataset(collection)).odd == ()


@pytest.mark.parametrize(
    ("corpus", "named"), [("", "no documents"), ('{"text": "x"}\n{"text": "y"}\n', "2 documents: .*, line 1: .*'docno'")]
)
def test_no_documents_that_can_be_read_are_an_error(collection: Path, corpus: str, named: str) -> None:
    (collection / "corpus.jsonl").write_text(corpus, encoding="utf-8")
    with pytest.raises(DatasetError, match=named):
        describe(load_dataset(collection))
