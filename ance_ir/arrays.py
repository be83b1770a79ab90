"""Arrays in ``npy`` files: memory-mapped for reading, and written whole or not at all.

File headers are not trusted: an array is only mapped if its type and shape are as expected and the file has the right size.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ance_ir.errors import AnceError, DatasetError
from ance_ir.files import atomic_open, naming

_SCRATCH = 1 << 20
"""Values that are written together."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of an ``npy`` file whose size fits it.

    Attributes:
        shape: of the array.
        dtype: of the array, never objects.
        fortran_order: whether the array lies column by column.
        begins: the array's first byte in the file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    begins: int

    @property
    def size(self) -> int:
        """Number of values in the array."""
        return math.prod(self.shape)


def read_header(path: Path) -> Header:
    """The header of an ``npy`` file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no ``npy`` file, holds Python objects, or does not have the size that its header implies.
    """
    with path.open("rb") as stream:
        try:
            shape, fortran_order, dtype = _header(stream)
        except Exception as error:  # numpy parses the header as Python, so damaged bytes can raise anything
            raise ValueError(f"no npy file: {error}") from error
        begins, size = stream.tell(), stream.seek(0, 2)
    if dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype}, {shape}")
    if size != begins + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{dtype} {shape} in {size} bytes")
    return Header(shape=shape, dtype=dtype, fortran_order=fortran_order, begins=begins)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version}")
    shape, fortran_order, dtype = read(stream)
    return shape, fortran_order, dtype


def map_array(
    path: Path,
    dtypes: str | Collection[str],
    shape: tuple[int | None, ...],
    *,
    error: type[AnceError] = DatasetError,
    remedy: str,
) -> npt.NDArray[Any]:
    """The array of an ``npy`` file as a read-only memory map.

    Args:
        path: the file.
        dtypes: the types that it may have: ``"int64"``.
        shape: the shape that it must have; ``None`` stands for any number.
        error: the class to raise.
        remedy: what to do about a file that is damaged, for the message.

    Raises:
        error: there is no such file, it is damaged, or its array is of another type or shape.
    """
    expected = [dtypes] if isinstance(dtypes, str) else list(dtypes)
    try:
        header = read_header(path)
        fits = len(header.shape) == len(shape) and all(one in (None, found) for one, found in zip(shape, header.shape, strict=True))
        if not fits or header.dtype.newbyteorder("=") not in map(np.dtype, expected):
            raise ValueError(f"{header.dtype} {header.shape}")
        return _mapped(path, header)
    except (OSError, ValueError) as fault:
        wanted = f"{' or '.join(expected)} [{', '.join('any' if one is None else str(one) for one in shape)}]"
        raise error(f"{path}: expected an array of {wanted}, found {fault}; {remedy}") from fault


def _mapped(path: Path, header: Header) -> npt.NDArray[Any]:
    order: Any = "F" if header.fortran_order else "C"
    if not header.size:
        return np.empty(header.shape, header.dtype, order)
    with path.open("rb") as stream:
        pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    flat: npt.NDArray[Any] = np.frombuffer(pages, header.dtype, header.size, header.begins)
    return flat.reshape(header.shape, order=order)


def map_bytes(path: Path, *, error: type[AnceError] = DatasetError, remedy: str) -> mmap.mmap:
    """The bytes of a non-empty file as a read-only memory map.

    Raises:
        error: there is no such file, or it is empty.
    """
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as fault:
        raise error(f"{path} cannot be read ({fault}); {remedy}") from fault


class _Plain:
    """A stream that is no file for numpy, which would hide why a write to a file failed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write


def save_array(path: Path | str, array: np.ndarray) -> None:
    """Write an ``npy`` file, whole or not at all."""
    with atomic_open(path, "wb") as stream:
        np.save(_Plain(stream), array, allow_pickle=False)


@contextlib.contextmanager
def growing_array(path: Path | str, columns: int, dtype: np.dtype[Any]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an ``npy`` file ``[rows, columns]`` block by block, whole or not at all, byte for byte as ``save_array`` does.

    Yields:
        a function that takes the next rows.
    """
    rows = 0
    with atomic_open(path, "wb") as stream:

        def head() -> None:  # has the same length for any number of rows
            shape = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows, columns)}
            np.lib.format.write_array_header_1_0(stream, shape)

        def append(block: np.ndarray) -> None:
            nonlocal rows
            if block.shape[1:] != (columns,) or block.dtype != dtype:
                raise ValueError(f"expected rows of {columns} {dtype}, found {block.shape[1:]} {block.dtype}")
            stream.write(np.ascontiguousarray(block).data)
            rows += len(block)

        head()
        yield append
        stream.seek(0)
        head()


def scratch_array(folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], value: float) -> np.ndarray:
    """An array full of a value, in a file without a name: it need not fit into memory, and its space is free once nobody has the array.

    Raises:
        OSError: there is not enough space; all that the array needs is taken at once.
    """
    left = math.prod(shape)
    if not left:
        return np.empty(shape, dtype)
    block = np.full(min(left, _SCRATCH), value, dtype)
    with naming(folder), tempfile.TemporaryFile(dir=folder) as stream:
        while left:
            left -= stream.write(block[:left].data) // dtype.itemsize
        stream.flush()
        return np.frombuffer(mmap.mmap(stream.fileno(), 0), dtype).reshape(shape)
