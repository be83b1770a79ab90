"""JSON lines, one list of JSON objects, or one object."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ance_ir.datasets.table import Entry, Row, TableFile
from ance_ir.errors import MalformedFileError
from ance_ir.reading import lines, open_binary

_CHUNK = 1 << 20


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The objects of a file, with all their keys. A list is read as a stream; an object over several lines is one record.

    Raises:
        MalformedFileError: something that is not on a line of its own is no JSON object.
    """
    with open_binary(path) as stream:
        start = stream.peek(_CHUNK).removeprefix(codecs.BOM_UTF8).lstrip()
        if start.startswith(b"[") or (start.startswith(b"{") and start[1:].lstrip(b" \t\r")[:1] == b"\n"):
            yield from _values(path, stream)
            return
    for line in lines(path):
        try:
            values: dict[str, Any] | MalformedFileError = line.json()
        except MalformedFileError as error:
            values = error
        yield line.number, values


def _values(path: Path, stream: io.BufferedReader[Any]) -> Iterator[Row]:
    """The objects in a list, or after one another, read in pieces."""
    text = codecs.getreader("utf-8-sig")(stream)
    decoder = json.JSONDecoder()
    rest, number, wanted = "", 0, _CHUNK
    while True:
        rest = rest.lstrip(" \t\r\n,[]")  # what separates objects
        try:
            value, end = decoder.raw_decode(rest) if rest else (None, 0)
        except (ValueError, RecursionError) as error:
            end, fault = 0, str(error)
        else:
            fault = ""
        if end:
            number += 1
            if not isinstance(value, dict):
                raise MalformedFileError(path, number, "a JSON object", rest[:end][:200])
            yield number, value
            rest, wanted = rest[end:], _CHUNK
            continue
        try:
            more = text.read(wanted)
        except UnicodeDecodeError as error:
            raise MalformedFileError(path, number + 1, "UTF-8", repr(error.object[error.start : error.start + 20])) from None
        if not more:
            if rest:
                raise MalformedFileError(path, number + 1, "a JSON object", rest[:200], f"Not read: {fault}")
            return
        rest, wanted = rest + more, wanted * 2  # so that a long object is not tried again and again


FORM = TableFile(suffixes=(".jsonl", ".json", ".ndjson", ".jsonlines"), read=read)
