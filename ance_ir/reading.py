"""Reading of text files: bytes, lines, JSON.

All text files are read here, hence alike: a byte-order mark is skipped; lines end in LF or CR LF, or in CR if the whole file has no LF;
compressed files (``ance_ir.compression``) are known by their content. Another encoding or kind of file is refused by name.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import re
from collections.abc import Callable, Generator, Iterator
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import IO, Any

from ance_ir.compression import COMPRESSIONS, TAR, compression_named, compression_of
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.strict_json import loads, scan

logger = logging.getLogger(__name__)

LONGEST = 1 << 30
"""Bytes of the longest line that is read. Without a bound, a file without line ends would fill the memory."""

_BUFFER = 1 << 16
_MARK = codecs.BOM_UTF8
_CONVERT = "convert it: iconv -f {0} -t UTF-8"
_OTHERS = [
    (re.compile(pattern), found, remedy)
    for pattern, found, remedy in (
        (rb"7z\xbc\xaf", "a 7z archive", "unpack it"),
        *((kind.magic.pattern, f"a file that is compressed twice, first with {kind.name}", "decompress it once") for kind in COMPRESSIONS),
        (TAR.pattern, "a tar archive", "unpack it, and name the file that is meant"),
        (rb"PAR1[\x00-\x1f]", "a Parquet file", "write it as text"),
        (rb"\x93NUMPY", "an array of numpy", "give a file of text"),
        (rb"\x80[\x02-\x05]", "a pickle", "write it as text; nothing is unpickled"),
        (rb"%PDF-", "a PDF", "give a file of text"),
        (rb"(?i)\s*<(?:!doctype\s+)?html", "a page of HTML, perhaps of a download that failed", "fetch it again"),
        (rb"version https://git-lfs", "a pointer of Git LFS and not the file", "fetch it with git lfs pull"),
        (rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff", "text in UTF-32", _CONVERT.format("UTF-32")),
        (rb"\xff\xfe|\xfe\xff", "text in UTF-16", _CONVERT.format("UTF-16")),
        (rb"(?:[\t-\x7e]\x00){3}", "text in UTF-16", _CONVERT.format("UTF-16LE")),
        (rb"(?:\x00[\t-\x7e]){3}", "text in UTF-16", _CONVERT.format("UTF-16BE")),
    )
]
"""Patterns of the first bytes of files that are no UTF-8 text, what such a file is, and what to do."""


class Line:
    """One line of a file, with the errors that name it.

    Args:
        path: the file.
        number: the line's, from 1.
        raw: its bytes.
        recognise: gives the hint of an error: what an unexpected line looks like, and what to do.
    """

    def __init__(self, path: Path, number: int, raw: bytes, recognise: Callable[[str], str] | None = None) -> None:
        self._path = path
        self.number = number
        self.raw = raw
        self._recognise = recognise or _nothing
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The line without its end."""
        if self._text is not None:  # cached_property would lock, for each line
            return self._text
        try:
            self._text = self.raw.decode().rstrip("\r\n")
            return self._text
        except UnicodeDecodeError as error:
            raise not_utf8(self._path, self.number, self.raw, error.start) from None

    def error(self, expected: str, found: str | None = None, hint: str | None = None) -> MalformedFileError:
        """The error that names this line, what was expected, what was found (by default the line), and a hint."""
        hint = self._recognise(self.text) if hint is None else hint
        return MalformedFileError(self._path, self.number, expected, self.text if found is None else found, hint)

    def json(self) -> dict[str, Any]:
        """The line as a JSON object."""
        value = self.json_value("a JSON object")
        if not isinstance(value, dict):
            raise self.error("a JSON object")
        return value

    def json_value(self, expected: str) -> Any:
        """The line's value in JSON.

        Args:
            expected: what is expected, for the error.
        """
        text = self.text.strip(" \t")
        try:
            value, end = scan(text)
        except JSONDecodeError as error:
            raise self.error(expected, hint=self._recognise(self.text) or self._reason(text, error)) from None
        except ValueError as error:
            raise self.error(expected, hint=f"Not read: {error}") from None
        if end != len(text):
            raise self.error(expected, hint=self._recognise(self.text) or f"Not read: more follows at character {end + 1}")
        return value

    def _reason(self, text: str, error: JSONDecodeError) -> str:
        """Why a line is no JSON, if it looks like any."""
        if text[:1] not in ("{", "["):
            return ""
        if not self.raw.endswith((b"\n", b"\r")) and text[-1] not in "}]":  # the last one
            return "The file is cut: fetch it again, or remove the line"
        return f"Not read: {error.msg} at character {error.pos + 1}"

    def string(self, value: dict[str, Any], key: str) -> str:
        """``value[key]``, which must be a string."""
        found = value.get(key)
        if not isinstance(found, str):
            raise self.error(f"a string under the key {key!r}")
        return found


def lines(path: Path, recognise: Callable[[str], str] | None = None) -> Generator[Line]:
    """The lines of a plain or compressed UTF-8 file; blank ones are skipped, but counted.

    Args:
        path: the file.
        recognise: see ``Line``.

    Raises:
        MalformedFileError: the file is no UTF-8 text but of another known kind, or a line is longer than ``LONGEST``.
        DatasetError: a compressed file is truncated or damaged.
    """
    with open_binary(path) as stream:
        for number, raw in enumerate(_split(stream), start=1):
            while raw.startswith(_MARK):  # of the file, or of files that were concatenated
                raw = raw[len(_MARK) :]
            if len(raw) > LONGEST:
                found = raw[:80].decode(errors="replace")
                raise MalformedFileError(path, number, f"a line of {LONGEST >> 20:,} MiB at most", found, "Are there no ends of lines?")
            if raw and not raw.isspace():
                yield Line(path, number, raw, recognise)


@contextlib.contextmanager
def open_binary(path: Path | str) -> Iterator[io.BufferedReader[Any]]:
    """Open a file for reading bytes, decompressed if its content is compressed.

    Raises:
        MalformedFileError: the file is no UTF-8 text but of another known kind, or an archive of several files.
        DatasetError: a compressed file is truncated or damaged.
        MissingDependencyError: it is compressed with zstd, and zstandard is not installed.
    """
    path = Path(path)
    with io.BufferedReader(io.FileIO(path), _BUFFER) as plain:
        start, named = plain.peek(_BUFFER), compression_named(path.name)
        found = compression_of(start)
        if named and not start:
            raise DatasetError(f"{path}: the {named.name} file is empty; fetch it again")
        if found is not named:
            content = f"compressed with {found.name}" if found else "not compressed"
            name = f"ends in {named.ending}" if named else "does not say so"
            logger.warning("%s is %s though its name %s; it is read by its content", path, content, name)
        stream = found.open(path, plain) if found else plain
        _refuse_others(path, stream.peek(1)[:1024])
        yield stream


def not_utf8(path: Path | str, number: int, raw: bytes, place: int) -> MalformedFileError:
    """The error of bytes that are not UTF-8.

    Args:
        path: the file.
        number: of the line in it.
        raw: bytes of the line, perhaps with others.
        place: of the first wrong byte in ``raw``.
    """
    start, end = raw.rfind(b"\n", 0, place) + 1, raw.find(b"\n", place)
    found = raw[start : end if end >= 0 else None][:400].decode(errors="backslashreplace")
    near = raw[max(start, place - 20) : place + 20].decode("cp1252", errors="replace")
    hint = f"In another encoding? As Windows-1252 (Latin-1) it reads {near!r}; {_CONVERT.format('WINDOWS-1252')}"
    return MalformedFileError(path, number, "UTF-8", found, hint)


def first_not_utf8(path: Path) -> MalformedFileError:
    """The error of the first bytes of a file that are not UTF-8, for readers that do not count lines."""
    decoder, number = codecs.getincrementaldecoder("utf-8")(), 1
    with open_binary(path) as stream:
        while block := stream.read(_BUFFER):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                number += error.object.count(b"\n", 0, error.start)
                return not_utf8(path, number, error.object, error.start)
            number += block.count(b"\n")
    return MalformedFileError(path, number, "UTF-8", "a character that is cut at the end of the file")


def read_text(path: Path | str) -> str:
    """The text of a whole file, with LF at the ends of its lines.

    Raises:
        MalformedFileError: it is no UTF-8 text.
    """
    try:
        with open_binary(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
            return text.read()
    except UnicodeDecodeError:
        raise first_not_utf8(Path(path)) from None


def parse_json(path: Path | str, raw: bytes) -> Any:
    """The value that the bytes of a file hold as JSON.

    Raises:
        MalformedFileError: they are no JSON.
    """
    try:
        return loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise not_utf8(path, raw.count(b"\n", 0, error.start) + 1, raw, error.start) from None
    except JSONDecodeError as error:
        found = f"{error.msg}: {error.doc[error.pos : error.pos + 20]}" if raw.strip() else ""
        raise MalformedFileError(path, error.lineno, "JSON", found) from None
    except ValueError as error:
        raise MalformedFileError(path, 1, "JSON", str(error)) from None


def _nothing(text: str) -> str:
    return ""


def _split(stream: io.BufferedReader[Any]) -> Iterator[bytes]:
    """The lines of a stream, those that are too long cut after ``LONGEST`` + 1 bytes; they end in CR if the start of the file has no LF."""
    start = stream.peek(_BUFFER)
    if b"\r" in start and b"\n" not in start:
        return _returned(stream)
    return iter(partial(stream.readline, LONGEST + 1), b"")


def _returned(stream: IO[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    length = 0
    while block := stream.read(_BUFFER):
        first, *others = block.split(b"\r")
        parts.append(first)
        length += len(first)
        for other in others:
            yield b"".join(parts)
            parts, length = [other], len(other)
        if length > LONGEST:
            break
    yield b"".join(parts)


def _refuse_others(path: Path, start: bytes) -> None:
    for pattern, found, remedy in _OTHERS:
        if pattern.match(start):
            raise MalformedFileError(path, 1, "text in UTF-8", found, f"{remedy[0].upper()}{remedy[1:]}")
