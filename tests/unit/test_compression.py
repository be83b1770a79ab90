"""Compressed files: each kind, several streams in a file, cut and damaged ones, and what does not fit into memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import zstandard

from ance_ir.compression import COMPRESSIONS, ENDINGS, find_file, plain_name
from ance_ir.errors import DatasetError, MalformedFileError, MissingDependencyError
from ance_ir.reading import lines, open_binary
from tests.compressed import COMPRESS, zipped

CONTENT = b"".join(b"line %d: some text that repeats, some %d that does not\n" % (number, number**7) for number in range(10_000))


@cache
def compressed(ending: str) -> bytes:
    return COMPRESS[ending](CONTENT)


def read(path: Path) -> bytes:
    with open_binary(path) as stream:
        return stream.read()


def test_all_kinds_are_tested() -> None:
    assert list(COMPRESS) == list(ENDINGS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_content_and_lines_are_those_of_the_plain_file(tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"x.txt{ending}"
    path.write_bytes(compressed(ending))
    assert read(path) == CONTENT
    assert [line.raw for line in lines(path)] == CONTENT.splitlines(keepends=True)
    assert not caplog.records
    path.write_bytes(COMPRESS[ending](b""))
    assert read(path) == b""


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".zip"])
@pytest.mark.parametrize("between", [b"", b"\0" * 5000])
def test_streams_one_after_the_other_are_one_file(tmp_path: Path, ending: str, between: bytes) -> None:
    parts = [CONTENT[:100], b"", CONTENT[100:]]
    (tmp_path / "x").write_bytes(b"".join(COMPRESS[ending](part) + between for part in parts))
    assert read(tmp_path / "x") == CONTENT


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("left", [0, 1, 3, 10, 100, 0.1, 0.5, 0.99, -20, -1])
def test_a_cut_file_is_named(tmp_path: Path, ending: str, left: float) -> None:
    whole = compressed(ending)
    path = tmp_path / f"x{ending}"
    path.write_bytes(whole[: int(left * len(whole)) if 0 < left < 1 else int(left)])
    if left == 1 or (left == 3 and ending != ".gz"):
        return  # too little to know that it is compressed
    with pytest.raises(DatasetError, match=rf"x\{ending}.*fetch it again"):
        read(path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_damaged_file_is_named(tmp_path: Path, ending: str, place: float) -> None:
    content = bytearray(compressed(ending))
    content[int(place * len(content))] ^= 0xFF
    (tmp_path / f"x{ending}").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"x\{ending}.*fetch it again"):
        read(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".zip"])
def test_what_follows_a_stream_and_is_none_is_no_end(tmp_path: Path, ending: str) -> None:
    """As in a file of several streams of which one is damaged at its start."""
    (tmp_path / "x").write_bytes(compressed(ending) + b"something else")
    with pytest.raises(DatasetError, match=r"x: .*damaged"):
        read(tmp_path / "x")


BOMBS: dict[str, Callable[[bytes, int], bytes]] = {
    ".gz": lambda block, times: gzip.compress(block * times),
    ".bz2": lambda block, times: bz2.compress(block * times),
    ".xz": lambda block, times: lzma.compress(block * times),
    ".zst": lambda block, times: zstandard.compress(block * times),
    ".zip": lambda block, times: zipped({"x": block * times}),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_memory_does_not_grow_with_the_content(tmp_path: Path, kind: str) -> None:
    path, size = tmp_path / "x", 128 << 20
    path.write_bytes(BOMBS[kind](b"\n" * (1 << 20), size >> 20))
    tracemalloc.start()
    with open_binary(path) as stream:
        assert sum(len(block) for block in iter(lambda: stream.read(1 << 20), b"")) == size
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize(
    ("files", "found"),
    [({}, "empty"), ({"a/": b""}, "empty"), ({"a": b"1", "b/c": b"2"}, "2 files: 'a', 'b/c'"), ({"../a": b"1", "b": b""}, "2 files")],
)
def test_a_zip_archive_must_hold_one_file(tmp_path: Path, files: dict[str, bytes], found: str) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(files))
    with pytest.raises(MalformedFileError, match=rf"x\.zip.*{found}"):
        read(tmp_path / "x.zip")


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped({"x": CONTENT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.zip.*(encrypted|password)"):
        read(tmp_path / "x.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_by_which_a_little_may_fill_the_memory_is_refused(tmp_path: Path, method: int) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"x": CONTENT}, method))
    with pytest.raises(MalformedFileError, match=rf"x\.zip.*method {method}"):
        read(tmp_path / "x.zip")


def test_zstd_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.zst").write_bytes(COMPRESS[".zst"](CONTENT))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingDependencyError, match=r"x\.zst.*pip install 'ance_ir\[data\]'"):
        read(tmp_path / "x.zst")


def test_a_file_of_a_name_is_found_plain_or_compressed(tmp_path: Path) -> None:
    assert find_file(tmp_path, "x.tsv") is None
    for compression in COMPRESSIONS:
        path = tmp_path / f"x.tsv{compression.ending}"
        path.touch()
        assert find_file(tmp_path, "x.tsv") == path
        assert plain_name(path.name) == "x.tsv"
        path.unlink()
    (tmp_path / "x.tsv").touch()
    (tmp_path / "x.tsv.xz").touch()
    with pytest.raises(DatasetError, match=r"x\.tsv and x\.tsv\.xz"):
        find_file(tmp_path, "x.tsv")


def test_an_archive_whose_list_points_before_its_start_is_named(tmp_path: Path) -> None:
    content = zipped({"x": CONTENT})
    (tmp_path / "x.zip").write_bytes(content[:3] + content[4:])
    with pytest.raises(DatasetError, match=r"x\.zip.*fetch it again"):
        read(tmp_path / "x.zip")
