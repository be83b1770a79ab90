"""Pickles of data frames, read without running anything that they name.

A pickle is a program that calls what it names. Here every name that a frame of strings and arrays needs, as pandas 1 to 3, numpy 1 and 2
and pyarrow spell it, stands for a record that keeps its arguments and does nothing; any other name is refused.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

from ance_ir.errors import DatasetError


class Record:
    """A call that a pickle asked for, recorded instead of made.

    Attributes:
        args: its arguments.
        state: what the pickle would have set on the result, or ``None``.
    """

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Record:
        """Keep the arguments, whether the pickle calls a function or makes an object."""
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Array(Record):
    """``numpy``: an empty array whose state is its version, shape, type, whether columns come first, and content."""


class BufferArray(Record):
    """``numpy``: content, type, shape and order ("C" or "F")."""


class Scalar(Record):
    """``numpy``: type and content of a single number."""


class DType(Record):
    """``numpy``: the type's name; its state has the byte order in second place."""


class Slice(Record):
    """First, end and step."""


class Frame(Record):
    """``pandas``: its state has the manager of its blocks under ``_mgr`` (``_data`` before 1.1)."""


class Blocks(Record):
    """``pandas``: blocks and axes; before 1.3 in the state."""


class Block(Record):
    """``pandas``: values, the places of their columns, dimensions."""


class Axis(Record):
    """``pandas``: a kind of index and its content under ``data``."""


class StringArray(Record):
    """``pandas``: its state is a type and an array, or has an ``ArrowArray`` under ``_pa_array``."""


class ArrowArray(Record):
    """``pyarrow``: type, length, missing values, first place, buffers."""


class ArrowType(Record):
    """``pyarrow``: a type's name."""


class Buffer(Record):
    """The bytes that it is made of."""


class Other(Record):
    """A call whose content does not matter."""


_NUMPY = ("numpy.core", "numpy._core")
_KNOWN: dict[tuple[str, str], type[Record]] = {
    ("builtins", "bytearray"): Buffer,
    ("builtins", "slice"): Slice,
    ("numpy", "dtype"): DType,
    ("numpy", "ndarray"): Other,
    **{(f"{core}.multiarray", "_reconstruct"): Array for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): Scalar for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): BufferArray for core in _NUMPY},
    **{(module, "DataFrame"): Frame for module in ("pandas", "pandas.core.frame")},
    ("pandas.core.internals.managers", "BlockManager"): Blocks,
    ("pandas._libs.internals", "_unpickle_block"): Block,
    ("pandas.core.indexes.base", "_new_Index"): Axis,
    **{(module, "Index"): Other for module in ("pandas", "pandas.core.indexes.base")},
    **{(module, "RangeIndex"): Other for module in ("pandas", "pandas.core.indexes.range")},
    ("pandas.core.indexes.numeric", "Int64Index"): Other,
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): StringArray,
    **{(module, "StringArray"): Other for module in ("pandas.arrays", "pandas.core.arrays.string_")},
    **{(module, "ArrowStringArray"): StringArray for module in ("pandas.arrays", "pandas.core.arrays.string_arrow")},
    **{(module, "StringDtype"): Other for module in ("pandas", "pandas.core.arrays.string_")},
    **{(module, "NA"): Other for module in ("pandas", "pandas._libs.missing")},
    ("pyarrow.lib", "_restore_array"): ArrowArray,
    ("pyarrow.lib", "type_for_alias"): ArrowType,
    ("pyarrow.lib", "py_buffer"): Buffer,
}


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler in Python: the faster one in C takes as much memory and stack as a damaged pickle asks for."""

    path: Path
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> type[Record]:
        """The record that stands for a name."""
        if (module, name) not in _KNOWN:
            raise DatasetError(
                f"{self.path} names {module}.{name}, which no frame of texts and vectors needs; it may be an attack and was not run"
            )
        return _KNOWN[module, name]

    def load_build(self) -> None:
        """Give a record its state; nothing else has one."""
        state = self.stack.pop()
        only(Record, self.stack[-1]).state = state

    def load_setitem(self) -> None:
        """Put an item into a dictionary."""
        value, key = self.stack.pop(), self.stack.pop()
        only(dict, self.stack[-1])[_key(key)] = value

    def load_setitems(self) -> None:
        """Put items into a dictionary."""
        items = self.pop_mark()
        only(dict, self.stack[-1]).update({_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)})

    def load_dict(self) -> None:
        """Make a dictionary."""
        items = self.pop_mark()
        self.append({_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)})

    def load_bytearray8(self) -> None:
        """Bytes; at most as many as the file has."""
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))

    def refuse_set(self) -> None:
        """Refuse a set: no frame needs one, and its content would be hashed."""
        raise TypeError("a set, which no data frame needs")

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        **dict.fromkeys((pickle.EMPTY_SET[0], pickle.ADDITEMS[0], pickle.FROZENSET[0]), refuse_set),
    }


def only(kind: type[Any], value: Any) -> Any:
    """A value of a kind.

    Raises:
        TypeError: it is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"a {kind.__name__} was expected, found {type(value).__name__}")
    return value


def _key(key: Any) -> Any:
    """A key of a dictionary, a string: hashing nested tuples may never end, or exceed the stack."""
    return only(str, key)


class _Stream:
    """A file that is asked for at most as many bytes as it has."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._size = size
        self.readline = stream.readline

    def read(self, count: int) -> bytes:
        """So many bytes, or the rest."""
        return self._stream.read(min(count, self._size))


def read_records(path: Path) -> Any:
    """The value that a pickle describes, made of records and Python's strings, numbers, bytes, lists, tuples and dictionaries.

    Raises:
        DatasetError: the file is not a pickle, or names something unknown.
    """
    with path.open("rb") as stream:
        unpickler = _Unpickler(_Stream(stream, path.stat().st_size))
        unpickler.path = path
        try:
            return unpickler.load()
        except (DatasetError, OSError):
            raise
        except Exception as error:  # damaged bytes may cause any
            raise DatasetError(f"{path} is not a readable pickle ({error})") from error
