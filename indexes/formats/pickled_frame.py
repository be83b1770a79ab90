"""The columns of a pickled data frame, put together from records without pandas."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np

from ance_ir.indexes.formats.restricted import (
    Array,
    ArrowArray,
    ArrowType,
    Axis,
    Block,
    Blocks,
    Buffer,
    BufferArray,
    DType,
    Frame,
    Scalar,
    Slice,
    StringArray,
    only,
)

_OFFSETS = {"string": "<i4", "large_string": "<i8"}
"""How pyarrow writes where each string of an array begins."""


def frame_columns(frame: Any) -> dict[str, np.ndarray]:
    """The content of each column, as ``decode`` gives it.

    Raises:
        TypeError, ValueError, KeyError, IndexError, AttributeError: it is not a data frame, or its columns are of other types.
    """
    blocks = only(Frame, frame).state
    blocks = only(Blocks, blocks["_mgr"] if "_mgr" in blocks else blocks["_data"])
    if blocks.state is None:
        inner, axes = blocks.args
        parts = [only(Block, block).args[:2] for block in inner]
    else:
        content = blocks.state[3]["0.14.1"]
        axes = content["axes"]
        parts = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]
    names = decode(only(Axis, axes[0]).args[1]["data"])
    columns = {}
    for values, places in parts:
        rows = decode(values)
        rows = rows if rows.ndim == 2 else rows[None]
        numbers = range(*places.args) if isinstance(places, Slice) else decode(places)
        for number, row in zip(numbers, rows, strict=True):
            columns[names[number]] = row
    return columns


def decode(value: Any) -> Any:
    """An array or a number for the record of one; anything else as it is. Strings and mixed content come as arrays of objects."""
    if isinstance(value, Array):
        _, shape, kind, columns_first, content = value.state
        return _array(content, kind, shape, "F" if columns_first else "C")
    if isinstance(value, BufferArray):
        return _array(*value.args)
    if isinstance(value, StringArray):
        return _strings(value.state["_pa_array"]) if isinstance(value.state, dict) else decode(value.state[1])
    if isinstance(value, Scalar):
        return np.frombuffer(_bytes(value.args[1]), _dtype(value.args[0]))[0]
    return value


def _array(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(content, list):
        array = np.empty(len(content), dtype=object)
        for place, one in enumerate(content):  # one by one: otherwise numpy would unpack lists
            if isinstance(one, Array) and isinstance(one.state[-1], list):
                raise ValueError("arrays of arrays of arrays")
            array[place] = decode(one)
    else:
        array = np.frombuffer(_bytes(content), _dtype(kind))
    return array.reshape(shape, order=order)


def _dtype(kind: Any) -> np.dtype[Any]:
    name = only(DType, kind).args[0]
    if not re.fullmatch("[fiu][1248]", name):
        raise ValueError(f"values of type {name}")
    dtype: np.dtype[Any] = np.dtype(name).newbyteorder(kind.state[1])
    return dtype


def _strings(record: Any) -> np.ndarray:
    kind, length, missing, first, buffers = only(ArrowArray, record).args[0][:5]
    if missing:
        raise ValueError(f"{missing} missing strings")
    offsets = np.frombuffer(_bytes(buffers[1]), _OFFSETS[only(ArrowType, kind).args[0]])[first : first + length + 1]
    if (np.diff(offsets) < 0).any():
        raise ValueError("strings that overlap")
    text = _bytes(buffers[2])
    return np.array([text[begin:end].decode() for begin, end in pairwise(offsets)], dtype=object)


def _bytes(content: Any) -> bytes | bytearray:
    while isinstance(content, Buffer):
        content = content.args[0]
    if not isinstance(content, bytes | bytearray):
        raise TypeError(f"bytes were expected, found {type(content).__name__}")
    return content
