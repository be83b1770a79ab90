"""Strategies: what may have become of a file, and what somebody may have made of it on purpose."""

from __future__ import annotations

import functools
import json
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.compressed import COMPRESS

NUMBERS = [0, -1, 1, 2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64, 10**12, -(2**63), 10**30]
"""Sizes and offsets that somebody forgot to expect."""

PIECES = [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r",
    b"\n",
    b"\t",
    b'"',
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\x1f\x8b",
    b" ",
    b"\xc2\xa0",
    b"[[[[",
    b"1e999",
]

DESCRIPTIONS = ["'<i8'", "'<f4'", "'<f2'", "'|O'", "'V0'", "'<U99999999'", "[('a', '<i8')]", "'>i8'", "1", "'" + "(" * 500]
SHAPES = [
    "(10**12,)",
    "(1000000000000,)",
    "(-1,)",
    "()",
    "(0,)",
    "(4,)",
    "(2, 2)",
    "(-2, -2)",
    "1",
    "(1, 10000000000000000000000)",
    "((" * 200,
]
_DEEP = "[" * 100_000
VALUES: list[Any] = [
    *[None, True, False, "", " ", "x", "\0", "\ud800", "../../etc/passwd", "/", "x" * 5000, [], {}, [[]], {"": {}}, 0.5, -0.0],
    *[float("nan"), float("inf"), float("-inf"), *NUMBERS],
]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Valid bytes to which something has happened, perhaps more than once; or bytes of any kind."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.binary(max_size=400))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        content = draw(_damage(content))
    return content


@st.composite
def _damage(draw: st.DrawFn, content: bytes) -> bytes:
    # places near the start are headers, which tell the most
    place = draw(st.one_of(st.integers(0, min(len(content), 128)), st.integers(0, len(content))))
    kind = draw(st.sampled_from(["flip", "cut", "drop", "splice", "insert", "number", "repeat", "line"]))
    start, rest = content[:place], content[place:]
    if kind == "flip":
        return start + bytes([rest[0] ^ (1 << draw(st.integers(0, 7)))]) + rest[1:] if rest else content
    if kind == "cut":
        return start
    if kind == "drop":
        return start + rest[draw(st.integers(1, 64)) :]
    if kind == "splice":
        other = draw(st.integers(0, len(content)))
        return start + content[other : other + draw(st.integers(1, 64))] + rest
    if kind == "insert":
        return start + draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8))) + rest
    if kind == "number":
        number = draw(st.sampled_from(NUMBERS)) % 2**64
        packed = struct.pack("<Q", number)[: draw(st.sampled_from([1, 2, 4, 8]))]
        return start + packed + rest[len(packed) :]
    if kind == "repeat":
        return start + rest * 2
    lines = content.split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    return b"\n".join(lines[:at] + lines[at : at + 1] * draw(st.sampled_from([0, 2])) + lines[at + 1 :])


@st.composite
def other_json(draw: st.DrawFn, value: Any) -> bytes:
    """A value in JSON in which one or two places hold something else, or nothing; or something that Python's parser stumbles over."""
    kind = draw(st.sampled_from(["value", "value", "value", "value", "value", "value", "deep", "digits", "encoding"]))
    if kind == "value":
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            value = draw(_changed(value))
        return json.dumps(value).encode()
    text = json.dumps(value)
    if kind == "deep":
        return draw(st.sampled_from([_DEEP, '{"a":' * 100_000, text[:-1] + ', "deep": ' + _DEEP])).encode()
    if kind == "digits":
        return text.replace("0", "9" * 5000, 1).encode()
    return text.encode(draw(st.sampled_from(["utf-16", "utf-8-sig", "utf-32"])))


@st.composite
def _changed(draw: st.DrawFn, value: Any) -> Any:
    """A value with another one, or none, somewhere within."""
    if isinstance(value, dict) and value and draw(st.integers(0, 7)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 5)) == 0:
            return {other: one for other, one in value.items() if other != key}
        return {**value, key: draw(_changed(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 7)):
        at = draw(st.integers(0, len(value) - 1))
        if draw(st.integers(0, 5)) == 0:
            return value[:at] + value[at : at + 1] * draw(st.sampled_from([0, 2])) + value[at + 1 :]
        return [*value[:at], draw(_changed(value[at])), *value[at + 1 :]]
    return draw(st.sampled_from(VALUES))


@st.composite
def other_array(draw: st.DrawFn, content: bytes) -> bytes:
    """An ``npy`` file: of another shape, type or order than its data, of other numbers, or damaged."""
    kind = draw(st.sampled_from(["header", "values", "bytes"]))
    if kind == "bytes":
        return draw(damaged(content))
    length = int.from_bytes(content[8:10], "little")
    data = content[10 + length :]
    if kind == "values":
        numbers = np.frombuffer(data, np.uint64 if len(data) % 8 == 0 else np.uint8).copy()
        if len(numbers):
            numbers[draw(st.integers(0, len(numbers) - 1))] = draw(st.sampled_from(NUMBERS)) % (2**64 if numbers.itemsize == 8 else 256)
        return content[: 10 + length] + numbers.tobytes()
    descr = draw(st.sampled_from(DESCRIPTIONS))
    order = draw(st.sampled_from(["False", "True", "None"]))
    shape = draw(st.sampled_from(SHAPES))
    told = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(length - 1) + b"\n"
    return content[:8] + len(told).to_bytes(2, "little") + told + data


@st.composite
def other_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """Text: damaged, with other line ends, marks or encodings, or compressed."""
    often = ["bytes", "bytes", "bytes", "json", "ends", "mark", "encoding", "compressed", "compressed"]
    kind = draw(st.sampled_from([*often, *often, "bomb"]))
    if kind == "bytes":
        return draw(damaged(content))
    if kind == "json":
        lines = content.splitlines()
        at = draw(st.integers(0, len(lines) - 1))
        try:
            lines[at] = draw(other_json(json.loads(lines[at])))
        except (ValueError, RecursionError):
            lines[at] = draw(other_json(lines[at].decode(errors="replace")))
        return b"\n".join(lines)
    if kind == "ends":
        return content.replace(b"\n", draw(st.sampled_from([b"\r", b"\r\n", b"", b"\0", b"\n\n", "\u2028".encode()])))
    if kind == "mark":
        return b"\xef\xbb\xbf" * draw(st.integers(1, 2)) + content
    if kind == "encoding":
        return content.decode(errors="replace").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-7"])))
    compression = draw(st.sampled_from(sorted(COMPRESS)))
    if kind == "compressed":
        return draw(damaged(COMPRESS[compression](content)))
    return _bomb(compression, draw(st.sampled_from([b"[", b"a", b" ", b"\n", b'{"a":'])))


@functools.cache
def _bomb(compression: str, piece: bytes) -> bytes:
    """A few bytes that become many."""
    return COMPRESS[compression](piece * 100_000)
