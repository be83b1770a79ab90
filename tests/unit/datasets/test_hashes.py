"""Hashes of files are kept, but never those of files that have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ance_ir.datasets import DirectoryDataset, hashes
from ance_ir.digests import hash_files


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The names of files that were read, call by call; all are large and have not been touched for long."""
    monkeypatch.setattr(hashes, "LEAST", 0)
    monkeypatch.setattr(hashes, "SETTLED", -1.0)
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    found: list[list[str]] = []

    def counted(paths: list[Path], *arguments: object) -> str:
        found.append([path.name for path in paths])
        return hash_files(paths, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hashes, "hash_files", counted)
    return found


def test_files_that_stay_are_read_once(collection: Path, read: list[list[str]]) -> None:
    first = DirectoryDataset(collection)
    corpus, whole = first.corpus_fingerprint, first.fingerprint
    assert len(read) == 2
    again = DirectoryDataset(collection)
    assert (again.corpus_fingerprint, again.fingerprint) == (corpus, whole)
    assert len(read) == 2
    assert corpus == hash_files([collection / "corpus.jsonl"])


def test_files_that_change_are_read_again(collection: Path, read: list[list[str]]) -> None:
    path = collection / "corpus.jsonl"
    before = DirectoryDataset(collection).corpus_fingerprint
    state, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b"cat", b"dog"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert DirectoryDataset(collection).corpus_fingerprint == hash_files([path]) != before
    path.unlink()
    path.write_bytes(content)
    assert DirectoryDataset(collection).corpus_fingerprint == before
    assert len(read) == 3
    hashes.hash_of_files([path], lambda path: "another name")
    assert len(read) == 4


@pytest.mark.parametrize("name", ["LEAST", "SETTLED"])
def test_small_and_fresh_files_are_read_each_time(
    name: str, collection: Path, read: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, name, 1 << 20)
    for _ in range(2):
        assert DirectoryDataset(collection).corpus_fingerprint == hash_files([collection / "corpus.jsonl"])
    assert len(read) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    collection: Path, read: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "file"))
    assert DirectoryDataset(collection).corpus_fingerprint == hash_files([collection / "corpus.jsonl"])
    assert len(read) == 1
