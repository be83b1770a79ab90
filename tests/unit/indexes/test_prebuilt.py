"""Pyserini's prebuilt indexes, by name, from its cache; ``tests/neighbours/test_pyserini.py`` compares with Pyserini's own names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ance_ir.errors import IndexingError
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import import_index, write_vectors
from ance_ir.indexes.formats.prebuilt import located
from tests.command import Run

FOLDERS = {
    "msmarco-v1-passage.ance": "faiss-flat.msmarco-v1-passage.ance.20210224.060cef.e6cf0c1011200af81fd53aa7c5ce9414",
    "msmarco-v1-doc.ance-maxp": "faiss-flat.msmarco-v1-doc.ance_maxp.20210304.b2a1b0.f5d8af9d8c0ee6f0c5ad0b7b3a9f7a3d",
    "msmarco-v1-passage.tct_colbert": "faiss-flat.msmarco-v1-passage.tct_colbert.20210112.be7119.7312e0e7acec2a686e994902ca064fc5",
    "msmarco-v1-passage.tct_colbert.hnsw": "faiss-hnsw.msmarco-v1-passage.tct_colbert.20210112.be7119.0000e0e7acec2a686e994902ca064fc5",
}
"""Names, and the folders in which Pyserini unpacks them."""

ANCE = "msmarco-v1-passage.ance"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pyserini's cache, with a prebuilt index that holds vectors and three that do not."""
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path / "cache"))
    indexes = tmp_path / "cache" / "indexes"
    for folder in [*FOLDERS.values(), "lucene-inverted.msmarco-v1-passage.ance.20221004.252b5e.c697b18c9a0686ca760583e615dbe450"]:
        (indexes / folder).mkdir(parents=True)
    (indexes / FOLDERS[ANCE]).rmdir()
    write_vectors(indexes / FOLDERS[ANCE], [(np.array(["7", "9"], dtype=object), np.eye(2, 4, dtype=np.float32))], "pyserini-faiss")
    return tmp_path / "cache"


def test_names_are_folders_of_the_cache(cache: Path) -> None:
    assert {name: located(name) for name in FOLDERS} == {name: cache / "indexes" / folder for name, folder in FOLDERS.items()}


def test_a_path_goes_before_a_name(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ANCE).mkdir()
    monkeypatch.chdir(tmp_path)
    assert located(ANCE) == Path(ANCE)


def test_a_cache_in_the_working_directory_or_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSERINI_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for place, name in (("home", ANCE), ("work", "msmarco-v1-doc.ance-maxp")):
        made = tmp_path / place / ".cache" / "pyserini" / "indexes" / FOLDERS[name]
        made.mkdir(parents=True)
        assert located(name) == made


def test_a_cache_in_the_home_as_working_directory_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSERINI_CACHE", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "home")
    made = tmp_path / "home" / ".cache" / "pyserini" / "indexes" / FOLDERS[ANCE]
    made.mkdir(parents=True)
    assert located(ANCE) == made


def test_several_of_one_name_and_none_are_refused(cache: Path) -> None:
    (cache / "indexes" / FOLDERS["msmarco-v1-passage.tct_colbert.hnsw"]).rmdir()
    with pytest.raises(IndexingError, match="ance_maxp") as told:
        located("msmarco-v1-passage.tct_colbert.hnsw")
    assert "lucene" not in str(told.value)
    other = cache / "indexes" / FOLDERS[ANCE].replace("20210224", "20230101")
    other.mkdir()
    with pytest.raises(IndexingError, match=str(other)):
        located(ANCE)


def test_the_command_imports_one(cache: Path, tmp_path: Path, run: Run) -> None:
    status, out, _ = run("index", "import", ANCE, "--out", tmp_path / "x.ance")
    assert (status, out.split()[0]) == (0, "2")
    assert len(import_index(tmp_path / "y.ance", ANCE)) == len(AnceIndex(tmp_path / "x.ance")) == 2
    status, _, error = run("index", "import", "msmarco-v1-passage.anse", "--out", tmp_path / "z.ance")
    assert status == 2
    assert FOLDERS[ANCE] in error


@pytest.mark.parametrize(
    "command",
    [
        ["index", "info", ANCE],
        ["info", ANCE],
        ["search", ANCE, "a query", "--model", "m"],
        ["eval", "--dataset", "python-stdlib", "--system", ANCE],
    ],
)
def test_where_an_index_is_expected_its_name_tells_how_to_import_it(command: list[str], cache: Path, run: Run) -> None:
    status, _, error = run(*command)
    assert status == 2
    assert f"ance-ir index import {ANCE} --model" in error
    (cache / "indexes" / FOLDERS[ANCE]).rename(cache / "gone")
    assert "index import" not in run(*command)[2]
