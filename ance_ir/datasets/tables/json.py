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
from ance_ir.reading import LONGEST, first_not_utf8, lines, open_binary
from ance_ir.strict_json import scan

_CHUNK = 1 << 20
_BETWEEN = " \t\r\n,[]"
"""What separates objects."""


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
    piece, place, number, wanted, bracket = "", 0, 0, _CHUNK, ""
    while True:
        while place < len(piece) and piece[place] in _BETWEEN:
            bracket = piece[place] if piece[place] in "[]" else bracket
            place += 1
        try:
            value, end = scan(piece, place) if place < len(piece) else (None, place)
            fault = ""
        except json.JSONDecodeError as error:  # perhaps since the rest of it is not read yet
            is_cut = error.msg.startswith("Unterminated") or not piece[error.pos :].strip()
            end, fault = place, f"Not read: {error.msg}{'. The file seems to be cut: fetch it again' if is_cut else ''}"
        except ValueError as error:
            raise MalformedFileError(path, number + 1, "a JSON object", piece[place : place + 200], f"Not read: {error}") from None
        if end > place:
            number += 1
            if not isinstance(value, dict):
                raise MalformedFileError(path, number, "a JSON object", piece[place:end][:200])
            yield number, value
            place, wanted = end, _CHUNK
            continue
        piece, place = piece[place:], 0
        try:
            more = text.read(wanted) if len(piece) <= LONGEST else ""
        except UnicodeDecodeError:
            raise first_not_utf8(path) from None
        if fault and not more:
            raise MalformedFileError(path, number + 1, "a JSON object", piece[:200], fault)
        if not more and bracket == "[":
            raise MalformedFileError(path, number + 1, "the end of the list, ]", "the end of the file", "It is cut: fetch it again")
        if not more:
            return
        piece += more
        wanted *= 2  # so that a long object is not tried again and again


FORM = TableFile(suffixes=(".jsonl", ".json", ".ndjson", ".jsonlines"), read=read)
