"""What a cluster needs of the package, without one: names, work that goes on in a process elsewhere, folders that are not seen there."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import DocumentStore
from ance_ir.errors import MissingDependencyError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_corpus
from ance_ir.indexes.ann.settings import checked_backend
from ance_ir.indexes.cluster.connection import connect
from ance_ir.indexes.store import corpus
from ance_ir.indexes.store.corpus import CorpusEncoding
from tests.command import Run
from tests.tiny import WORDS, encoder


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LEAST", 4)


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    texts = [" ".join(np.random.default_rng(number).choice(WORDS, size=12)) for number in range(38)]
    return DocumentStore.build(({"docno": f"d{number}", "text": text} for number, text in enumerate(texts)), tmp_path / "store")


def elsewhere(work: CorpusEncoding) -> CorpusEncoding:
    """The work as another process gets it."""
    copy: CorpusEncoding = pickle.loads(pickle.dumps(work))  # noqa: S301  # our own
    return copy


@pytest.mark.parametrize("reused", [False, True])
def test_work_goes_on_in_a_process_elsewhere(store: DocumentStore, tmp_path: Path, reused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by a relative path, by a process in another folder."""
    model, passages = encoder(head=8), MaxP(4, 3)
    reuse = AnceIndex(tmp_path / "old.ance")
    if reused:
        index_corpus(reuse.folder, model, store, passages)
    expected = CorpusEncoding(tmp_path / "x.ance", store, model, passages, reuse=reuse if reused else None).lead()
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"reuse": AnceIndex("old.ance") if reused else None, "verbose": True}
    work = CorpusEncoding(Path("y.ance"), DocumentStore("store"), model, passages, **options)
    taken: list[int] = []

    def encode(parts: list[int]) -> int:
        sent = pickle.dumps(work)
        with monkeypatch.context() as patched:
            patched.chdir("/")
            there: CorpusEncoding = pickle.loads(sent)  # noqa: S301  # our own
            assert there.unseen() is None
            taken.append(parts[-1])
            return there.take(parts[-1:])

    index = work.lead(encode)
    assert taken == list(range(9, -1, -1)), "one part after the other, and nothing here"
    assert index.manifest == expected.manifest
    index.verify()


@pytest.mark.parametrize("missing", ["x.ance", "store", "old.ance"])
def test_a_folder_that_is_not_seen_elsewhere_is_named(store: DocumentStore, tmp_path: Path, missing: str) -> None:
    model = encoder()
    reuse = index_corpus(tmp_path / "old.ance", model, store, FirstP())
    work = CorpusEncoding(tmp_path / "x.ance", store, model, FirstP(), reuse=reuse)
    work.begin()
    there = elsewhere(work)
    assert there.unseen() is None
    shutil.rmtree(tmp_path / missing)
    assert elsewhere(work).unseen() == there.unseen() == tmp_path / missing


def test_another_collection_of_the_same_path_is_not_the_work_s(store: DocumentStore, tmp_path: Path) -> None:
    work = CorpusEncoding(tmp_path / "x.ance", store, encoder(), FirstP())
    work.begin()
    DocumentStore.build([{"docno": "d0", "text": "a cat"}], store.folder)
    assert elsewhere(work).unseen() == store.folder


@pytest.mark.parametrize("text", ["ray://", "ray://host", "ray:host:6379", "ray://host:port", "ray 3", "ray://a b:1"])
def test_what_names_no_cluster_is_shown(text: str) -> None:
    for use in (connect, checked_backend):
        with pytest.raises(UsageError) as raised:
            use(text)
        assert repr(text) in str(raised.value)


def test_ray_is_asked_for_where_it_is_missing(store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"ance_ir\[cluster\]"):
        index_corpus(tmp_path / "x.ance", encoder(), store, FirstP(), cluster="ray")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    index = index_corpus(tmp_path / "x.ance", encoder(), store, FirstP())
    with pytest.raises(MissingDependencyError, match=r"ance_ir\[cluster\]"):
        index.searcher("ray://10.0.0.1:6379")


@pytest.mark.parametrize("more", [("--cluster", "spark"), ("--cluster", "ray", "--device", "cpu")])
def test_the_command_refuses(run: Run, tmp_path: Path, more: tuple[str, ...]) -> None:
    status, _, said = run("index", "--dataset", "python-stdlib", "--out", tmp_path / "x.ance", *more)
    assert status == 2
    assert more[-1 if "spark" in more else -2] in said
    assert not list(tmp_path.iterdir())


def test_torchrun_and_a_cluster_are_two_ways(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, _, said = run("index", "--dataset", "python-stdlib", "--out", tmp_path / "x.ance", "--cluster", "ray")
    assert (status, "torchrun" in said) == (2, True)
