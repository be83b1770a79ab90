from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.arrays import growing_array, map_array, map_bytes, save_array, scratch_array
from ance_ir.errors import IndexingError


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def header(descr: str, shape: str, order: str = "False") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()


def mapped(path: Path, dtypes: Any = "int64", shape: tuple[int | None, ...] = (None,)) -> np.ndarray:
    return map_array(path, dtypes, shape, error=IndexingError, remedy="build it again")


@pytest.mark.parametrize("array", [np.arange(5), np.arange(0), np.asfortranarray(np.arange(6).reshape(2, 3))])
def test_what_was_saved_is_mapped(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    found = mapped(tmp_path / "x.npy", shape=(None,) * array.ndim)
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable or not found.size


def test_another_byte_order_is_the_same_type(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(3, dtype=">i8"))
    np.testing.assert_array_equal(mapped(tmp_path / "x.npy"), [0, 1, 2])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01",
        npy(header("'<i8'", "(1000000000000,)")),
        npy(header("'<i8'", "(-1,)"), bytes(8)),
        npy(header("'<i8'", "(1, -1)"), bytes(8)),
        npy(header("'|O'", "(1,)"), bytes(8)),
        npy(header("'<i8'", "(1,)"), bytes(7)),
        npy(header("'<i8'", "(1,)"), bytes(9)),
        npy(header("'<i8'", "1"), bytes(8)),
        npy(header("'V0'", "(1,)")),
        npy(header("'<i8'", "(1.5,)"), bytes(8)),
        npy(b"(" * 9000),
        npy(b"{'''"),
        npy(header("'<i8'", "(1,)"), bytes(8), version=b"\x09\x00"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(IndexingError, match=r"x\.npy.*build it again"):
        mapped(tmp_path / "x.npy")


def test_another_array_than_was_expected(tmp_path: Path) -> None:
    np.save(io_path := tmp_path / "x.npy", np.zeros((2, 3), np.float32))
    for dtypes, shape in (("int64", (None, None)), ("float32", (None,)), ("float32", (2, 4)), (["float16", "int64"], (2, 3))):
        with pytest.raises(IndexingError, match=r"float32 \(2, 3\)"):
            mapped(io_path, dtypes, shape)
    assert mapped(io_path, ["float16", "float32"], (None, 3)).shape == (2, 3)
    with pytest.raises(IndexingError, match=r"y\.npy"):
        mapped(tmp_path / "y.npy")


def test_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert map_bytes(tmp_path / "x", error=IndexingError, remedy="build it again")[1:] == b"bc"
    (tmp_path / "y").write_bytes(b"")
    for name in ("y", "z"):
        with pytest.raises(IndexingError, match=name):
            map_bytes(tmp_path / name, error=IndexingError, remedy="build it again")


def test_the_bytes_of_numpy_are_those_of_the_tests() -> None:
    stream = io.BytesIO(npy(header("'<i8'", "(1,)"), bytes(8)))
    assert np.load(stream).tolist() == [0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64"])
@pytest.mark.parametrize("blocks", [[], [0], [5], [1, 0, 40, 2], [999, 1], [123_456]])
def test_an_array_that_grows_is_that_of_one_piece(tmp_path: Path, dtype: str, blocks: list[int]) -> None:
    rows = (np.arange(3 * sum(blocks)) % 1000).reshape(-1, 3).astype(dtype)
    with growing_array(tmp_path / "grown.npy", 3, np.dtype(dtype)) as append:
        for block in np.split(rows, np.cumsum(blocks)[:-1]) if blocks else []:
            append(block)
        assert not (tmp_path / "grown.npy").exists()
    save_array(tmp_path / "whole.npy", rows)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_an_array_that_grows_takes_its_own_rows_alone(tmp_path: Path) -> None:
    for rows in (np.zeros((2, 4), dtype=np.float32), np.zeros((2, 3)), np.zeros(3, dtype=np.float32)):
        with (
            pytest.raises(ValueError, match="expected rows of 3 float32"),
            growing_array(tmp_path / "x", 3, np.dtype("f4")) as append,
        ):
            append(rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(0, 3), (5, 7), (3, 700_001)])
def test_a_scratch_array_is_full_of_its_value_and_leaves_nothing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = scratch_array(tmp_path, shape, np.dtype(np.float32), -np.inf)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert (array == -np.inf).all()
    array[1:] = 2
    assert (array[1:] == 2).all()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs the number of blocks of a file")
def test_a_scratch_array_takes_its_space_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a disk that fills up later would end the process without a message."""
    opened, files = tempfile.TemporaryFile, []

    def remembered(**options: Any) -> Any:
        stream = opened(**options)
        files.append(os.dup(stream.fileno()))
        return stream

    monkeypatch.setattr(tempfile, "TemporaryFile", remembered)
    array = scratch_array(tmp_path, (1 << 16, 5), np.dtype(np.int32), 0)
    assert os.fstat(files[0]).st_blocks * 512 >= array.nbytes
    os.close(files[0])


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_where_there_is_no_space_for_a_scratch_array_its_folder_is_named(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            scratch_array(tmp_path, (1 << 16, 5), np.dtype(np.int32), -1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path)
