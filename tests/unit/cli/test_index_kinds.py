"""Indexes and models of every kind on the command line: each is described, and each index is searched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ance_ir.indexes import AnceIndex
from ance_ir.models import SparseEncoder
from ance_ir.pipelines import BM25Index, SparseIndex
from tests.command import Run
from tests.engines import missing
from tests.tiny import encoder

pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.skipif(bool(missing("pisa")), reason=missing("pisa"))

from tests.library_models import LAYOUTS, write_splade  # noqa: E402  # they import sentence-transformers

TEXTS = {"d1": "the cat sleeps", "d2": "a dog runs and a bird sings", "d3": "a king and a queen in the city", "d4": "a cat runs"}


def documents() -> Iterator[dict[str, str]]:
    return ({"docno": docno, "text": text} for docno, text in TEXTS.items())


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_sparse_index_is_described_and_searched(run: Run, tmp_path: Path) -> None:
    model = SparseEncoder.from_pretrained(write_splade(tmp_path / "splade"), device="cpu")
    index = SparseIndex("x.splade", model, bits=6).index(documents())
    status, out, _ = run("index", "info", "x.splade")
    assert status == 0
    assert out.startswith("x.splade\n  documents     4\n")
    assert f"  terms         {model.dimension:,} in the vocabulary, {index.manifest['postings']:,} weights\n  weights       6 bits" in out
    assert f"  model         {model.name}\n  fingerprint   {model.fingerprint()}\n" in out
    assert run("info", "x.splade") == (0, out, "")
    status, shown, _ = run("search", "x.splade", "king", "-k", "2")
    found = index.retriever(2).search("king")
    assert status == 0
    assert [line.split()[2] for line in shown.splitlines()[2:]] == found["docno"].tolist()
    moved = (tmp_path / "splade").rename(tmp_path / "elsewhere")
    assert run("search", "x.splade", "king", "-k", "2")[0] == 2
    assert run("search", "x.splade", "king", "-k", "2", "--model", moved)[1] == shown
    status, _, err = run("search", "x.splade", "king", "--model", moved, "--backend", "ivf")
    assert (status, "is no dense index" in err) == (2, True)
    status, _, err = run("index", "compact", "x.splade")
    assert (status, err.count("\n"), "x.splade is no dense index" in err) == (2, 1, True)


@pytest.mark.slow
def test_a_bm25_index_is_described_and_searched(run: Run) -> None:
    BM25Index("x.bm25", stemmer="krovetz").index(documents())
    status, out, _ = run("index", "info", "x.bm25")
    assert status == 0
    for line in ("documents     4", "engine        pisa", "language      en", "stemmer       krovetz", "stop words    terrier"):
        assert f"  {line}\n" in out
    assert run("info", "x.bm25") == (0, out, "")
    status, out, _ = run("search", "x.bm25", "cats", "zebra")
    assert status == 0
    assert {line.split()[2] for line in out.splitlines()[2:4]} == {"d1", "d4"}
    assert out.endswith("\n2: zebra\n      nothing found\n")
    status, _, err = run("search", "x.bm25", "cats", "--model", "any")
    assert (status, "which has no model" in err) == (2, True)


def test_a_collection_with_a_manifest_of_its_own_is_no_index(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "corpus.jsonl").write_text(json.dumps({"docno": "d1", "text": "the cat sleeps"}))
    (tmp_path / "c" / "manifest.json").write_text(json.dumps({"name": "my data"}))
    for more in ((), ("--as", "dataset")):
        status, out, _ = run("info", tmp_path / "c", *more)
        assert (status, "collection" in out) == (0, True)


def test_a_folder_that_is_no_index_is_refused_as_before(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.ance").mkdir()
    status, _, err = run("index", "info", "x.ance")
    assert (status, "there is no manifest.json" in err) == (2, True)


def test_sparse_and_multi_vector_models_are_described(run: Run, tmp_path: Path) -> None:
    model = SparseEncoder.from_pretrained(write_splade(tmp_path / "splade"), device="cpu")
    status, out, _ = run("info", "splade")
    assert status == 0
    assert "  layout       sparse encoder, opened by sentence-transformers\n" in out
    assert f"  vector       {model.dimension:,} terms\n" in out
    assert f"  fingerprint  {model.fingerprint()}\n" in out
    for name, write in LAYOUTS.items():
        write(tmp_path / name)
        status, out, _ = run("info", f"./{name}")
        assert status == 0, name
        assert "multi-vector encoder" in out
        assert "  vectors      one a token, 8 dimensions\n" in out
        assert "  lengths      queries 16, documents 32 tokens\n" in out
    status, _, err = run("info", "splade", "--query-length", "9")
    assert (status, "is a sparse encoder, which has no text settings" in err) == (2, True)


def test_the_graphs_of_an_index_are_shown(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pyterrier_adaptive")
    encoder().save(tmp_path / "tiny")
    vectors = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    AnceIndex("x.ance").index({"docno": f"d{row}", "doc_vec": vector} for row, vector in enumerate(vectors))
    assert "corpus graph" not in run("index", "info", "x.ance")[1]
    status, out, _ = run("index", "graph", "x.ance", "-k", "50")
    assert (status, out.endswith(": 5 documents, 4 neighbours each; 50 were asked for, there are no more\n")) == (0, True)
    assert run("index", "graph", "x.ance", "-k", "2", "--backend", "flat")[1].endswith(": 5 documents, 2 neighbours each\n")
    out = run("index", "info", "x.ance")[1]
    assert "  corpus graph        4 neighbours of 5 documents, by exact; of the index as it is\n" in out
    assert "  corpus graph 2      2 neighbours of 5 documents, by flat; of the index as it is\n" in out
    (described,) = Path("x.ance").glob("graph-*-exact/pt_meta.json")
    described.write_text(json.dumps({**json.loads(described.read_text()), "index": "another"}))
    assert "4 neighbours of 5 documents, by exact; of an earlier state, and not used\n" in run("index", "info", "x.ance")[1]
