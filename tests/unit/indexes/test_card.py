"""An index in words, and shared over the hub."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, BinaryIO

import huggingface_hub
import numpy as np
import pyterrier as pt
import pytest
from click.testing import CliRunner

from ance_ir.cli.index.info import command as index_info
from ance_ir.indexes import AnceIndex, MaxP
from tests.tiny import encoder

DOCUMENTS = [{"docno": "a", "text": "king " * 20}, {"docno": "b", "text": "cat"}, {"docno": "c", "text": "the dog"}]


@pytest.fixture
def index(tmp_path: Path) -> AnceIndex:
    encoder(head=8).save(tmp_path / "model")
    from ance_ir import DenseEncoder

    model = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu")
    built: AnceIndex = (MaxP(8, 3) >> model.passages() >> AnceIndex(tmp_path / "x.ance", dtype="float16")).index(DOCUMENTS)
    return built


def test_what_an_index_says_of_itself(index: AnceIndex) -> None:
    assert CliRunner().invoke(index_info, [str(index.folder)], catch_exceptions=False).output == f"{index.info()}\n"
    told = index.info()
    shown = f"{told!r}\n"
    assert shown.startswith(f"{index.folder}\n")
    for name, value in told.items():
        assert f"  {name:<18}  {value}\n" in shown
    assert told["documents"] == "3"
    assert told["passages"] == "5, at most 3 a document"
    assert told["vectors"] == "5 × 8 float16, in 1 shard"
    assert told["cut by"] == "maxp:8,3"
    assert told["lengths"] == "queries 16, passages 32 tokens"
    assert told["memory, Faiss flat"] == "160 B of page cache"
    assert told["fingerprint"] == index.model(device="cpu").fingerprint()
    assert "deleted" not in told
    index.delete(["b"])
    index.add((MaxP(8, 3) >> index.model(device="cpu").passages())([{"docno": "n", "text": "red"}]))
    told = index.info()
    assert (told["documents"], told["deleted"]) == ("3", "1; `ance-ir index compact` frees their space")
    assert told["vectors"] == "6 × 8 float16, in 2 shards"


def test_an_index_in_a_notebook(index: AnceIndex, tmp_path: Path) -> None:
    """One line of text; a table of what it holds once it is built, text escaped."""
    assert repr(index) == f"AnceIndex({str(tmp_path / 'x.ance')!r})"
    page = index._repr_html_()
    for name, value in index.info().items():
        assert re.search(rf"<tr><th[^>]*>{re.escape(escape(name))}</th><td>{re.escape(escape(value))}</td></tr>", page)
    assert "<b>" not in AnceIndex(tmp_path / "<b>")._repr_html_()
    moved = AnceIndex(index.folder.rename(tmp_path / "<b>.ance"))
    assert "&lt;b&gt;.ance" in moved._repr_html_()
    assert "<b>" not in moved._repr_html_()


def test_an_index_of_vectors_says_that_no_model_is_known(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index([{"docno": "a", "doc_vec": np.ones(3)}])
    told = index.info()
    assert told["model"] == "not recorded: built from vectors"
    assert "passages" not in told
    card = index._hf_readme(repo="me/x")
    assert "which model made them is not recorded" in card
    assert "DenseEncoder.from_pretrained" in card


def test_an_index_is_shared_over_the_hub(index: AnceIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = tmp_path / "hub"

    def upload(*, repo_id: str, folder_path: str, **_: Any) -> str:
        shutil.copytree(folder_path, hub / repo_id)
        return repo_id

    @contextlib.contextmanager
    def download(url: str, **_: Any) -> Iterator[BinaryIO]:
        file = hub / "me" / "news" / url.rpartition("/")[2]
        assert "huggingface.co/datasets/me/news/" in url
        if not file.exists():
            raise OSError(url)
        with file.open("rb") as stream:
            yield stream

    for name in ("create_repo", "create_branch"):
        monkeypatch.setattr(huggingface_hub, name, lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "upload_folder", upload)
    monkeypatch.setattr(pt.io, "download_stream", download)
    monkeypatch.setattr(pt.io, "pyterrier_home", lambda: str(tmp_path / "home"))
    index.delete(["c"])
    (index.folder / "vectors-00000.npy.partial-elsewhere-1-00000000").write_bytes(b"unfinished")
    index.to_hf("me/news", pretty_name="News: of a day")
    card = (hub / "me" / "news" / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\npretty_name: "News: of a day"\ntags:\n- pyterrier\n- pyterrier-artifact\n')
    assert "- pyterrier-artifact.dense_index.ance_ir\n" in card
    assert "TODO" not in card
    for line in (
        "# News: of a day",
        "| documents | 2 |",
        "| cut by | maxp:8,3 |",
        "index = pt.Artifact.from_hf('me/news')",
        "model = index.model()",
    ):
        assert f"{line}\n" in card, line
    queries = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    expected = index.search_vectors(queries, 5)
    classes: list[Any] = [AnceIndex]
    if any(entry.name == "dense_index.ance_ir" for entry in pt.utils.entry_points("pyterrier.artifact")):
        classes.append(pt.Artifact)
    for number, artifact in enumerate(classes):
        monkeypatch.setattr(pt.io, "pyterrier_home", lambda number=number: str(tmp_path / f"home{number}"))
        copy = artifact.from_hf("me/news")
        assert isinstance(copy, AnceIndex)
        assert copy.folder != index.folder
        copy.verify()
        for one, other in zip(copy.search_vectors(queries, 5), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert not list(copy.folder.glob("*partial*")) + list(copy.folder.glob("lock"))
