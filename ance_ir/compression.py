"""Compressed files: known by their content, found by their names, read as streams.

========  =======================================================
``.gz``   gzip
``.bz2``  bzip2
``.xz``   xz
``.zst``  zstd, with the package ``zstandard`` (the extra ``data``)
``.zip``  a zip archive of one file
========  =======================================================
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ance_ir.errors import AnceError, DatasetError, MalformedFileError
from ance_ir.notices import examples
from ance_ir.optional import optional

_BUFFER = 1 << 16

_PIECE = 1 << 10
"""Compressed bytes that are decompressed at once. Those of gzip and zstd grow by less than 50 MiB, whatever the file."""

_XZ_MEMORY = 1 << 30
"""Bytes that reading an xz file may take. The strongest preset needs 65 MiB."""


@dataclass(frozen=True, kw_only=True)
class Compression:
    """A way in which files are compressed.

    Attributes:
        name: as messages have it.
        ending: of the files' names.
        magic: matches the start of the files.
        pieces: the content, given the path and a stream of the file's bytes.
    """

    name: str
    ending: str
    magic: re.Pattern[bytes]
    pieces: Callable[[Path, io.BufferedReader[Any]], Iterator[bytes]]

    def open(self, path: Path, plain: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
        """The content of a file as a stream; memory does not grow with it.

        Reading raises DatasetError where the file is truncated or damaged.
        """
        return io.BufferedReader(_Content(path, self.name, self.pieces(path, plain)), _BUFFER)


class _Content(io.RawIOBase):
    """A stream of pieces. What goes wrong while one is made becomes an error that names the file."""

    def __init__(self, path: Path, kind: str, pieces: Iterator[bytes]) -> None:
        self._path = path
        self._kind = kind
        self._pieces = pieces
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; less only at the end."""
        filled = 0
        while filled < len(buffer) and (self._piece or self._advance()):
            count = min(len(buffer) - filled, len(self._piece))
            buffer[filled : filled + count] = self._piece[:count]
            self._piece = self._piece[count:]
            filled += count
        return filled

    def _advance(self) -> bool:
        """Whether there is another piece."""
        with damage_named(self._path, self._kind):
            self._piece = memoryview(next(self._pieces, b""))
        return bool(self._piece)


@contextlib.contextmanager
def damage_named(path: Path, kind: str) -> Iterator[None]:
    """While entered, whatever a library for decompression raises becomes an error that names the file.

    Args:
        path: the file.
        kind: of file: ``"gzip"``.
    """
    try:
        yield
    except AnceError:
        raise
    except Exception as error:  # each of them has its own kinds
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the system's, but for a place before the start
            raise
        reason = str(error) or type(error).__name__
        raise DatasetError(f"{path}: the {kind} file is truncated or damaged ({reason}); fetch it again") from error


def _streams(make: Callable[[Path], Any], *, limited: bool = False) -> Callable[[Path, io.BufferedReader[Any]], Iterator[bytes]]:
    """Reads files of one or more streams, one after the other.

    A file must end where a stream ends, or with zeros after one: the libraries' own readers of files take anything for an end.

    Args:
        make: makes what decompresses one stream.
        limited: it gives no more than it is asked for, and says when it needs more of the file.
    """

    def pieces(path: Path, plain: io.BufferedReader[Any]) -> Iterator[bytes]:
        stream: Any = None
        ahead = b""
        while piece := ahead or plain.read(_PIECE):
            ahead = b""
            if stream is None:
                piece = piece.lstrip(b"\0")
                if not piece:
                    continue
                stream = make(path)
            if not limited:
                yield from filter(None, (stream.decompress(piece),))
            while limited and not stream.eof and (piece or not stream.needs_input):
                yield from filter(None, (stream.decompress(piece, _BUFFER),))
                piece = b""
            if stream.eof:
                stream, ahead = None, stream.unused_data
        if stream is not None:
            raise EOFError("it ends early")

    return pieces


def _zstd(path: Path) -> Any:
    remedy = "pip install 'ance_ir[data]'"
    return optional("zstandard", needed_for=f"reading {path}, a zstd file,", remedy=remedy).ZstdDecompressor().decompressobj()


def _zip(path: Path, plain: io.BufferedReader[Any]) -> Iterator[bytes]:
    """The content of the only file of an archive."""
    with zipfile.ZipFile(plain) as archive:
        files = zip_files(archive)
        if len(files) != 1:
            found = f"{len(files)} files: {examples(file.filename for file in files)}" if files else "an empty archive"
            raise MalformedFileError(path, 1, "a zip archive of one file", found, "Unpack it, and name the file that is meant")
        check_readable(path, files[0])
        with archive.open(files[0]) as stream:
            while piece := stream.read(_BUFFER):
                yield piece


def check_readable(path: Path, file: zipfile.ZipInfo) -> None:
    """Refuse a file of an archive that is encrypted, or compressed so that a little of it may fill the memory.

    Raises:
        MalformedFileError: it is.
    """
    if file.flag_bits & 1 or file.compress_type not in _ZIP_METHODS:
        found = "an encrypted file" if file.flag_bits & 1 else f"a file compressed by method {file.compress_type}"
        raise MalformedFileError(path, 1, "a zip archive of files compressed with deflate", found, "Unpack it")


_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def zip_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive, without those that macOS adds."""
    return [file for file in archive.infolist() if not file.is_dir() and not is_of_macos(file.filename)]


def is_of_macos(name: str) -> bool:
    """Whether a name in an archive is that of a file that macOS adds."""
    return name.startswith("__MACOSX/") or name.endswith(".DS_Store")


COMPRESSIONS = (
    Compression(name="gzip", ending=".gz", magic=re.compile(rb"\x1f\x8b"), pieces=_streams(lambda _: zlib.decompressobj(wbits=31))),
    Compression(
        name="bzip2",
        ending=".bz2",
        magic=re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
        pieces=_streams(lambda _: bz2.BZ2Decompressor(), limited=True),
    ),
    Compression(
        name="xz",
        ending=".xz",
        magic=re.compile(rb"\xfd7zXZ\x00"),
        pieces=_streams(lambda _: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY), limited=True),
    ),
    Compression(name="zstd", ending=".zst", magic=re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), pieces=_streams(_zstd)),
    Compression(name="zip", ending=".zip", magic=re.compile(rb"PK[\x03\x05]"), pieces=_zip),
)

ENDINGS = tuple(compression.ending for compression in COMPRESSIONS)
"""Of the names of compressed files."""


TAR = re.compile(rb"(?s).{257}ustar")
"""Matches the start of a tar archive, decompressed."""


def compression_of(start: bytes) -> Compression | None:
    """How a file is compressed that starts so, with ten bytes at least; ``None`` if it is not."""
    return next((compression for compression in COMPRESSIONS if compression.magic.match(start)), None)


def compression_named(name: str) -> Compression | None:
    """How a file of that name is compressed, if its name is right."""
    return next((compression for compression in COMPRESSIONS if name.lower().endswith(compression.ending)), None)


def plain_name(name: str) -> str:
    """A file's name without the ending of a compression: ``corpus.jsonl`` for ``corpus.jsonl.gz``."""
    named = compression_named(name)
    return name[: -len(named.ending)] if named else name


def find_file(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, plain or compressed; ``None`` if there is none.

    Raises:
        DatasetError: there is more than one.
    """
    found = [path for ending in ("", *ENDINGS) if (path := folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise DatasetError(f"{folder} has both {found[0].name} and {found[1].name}: remove one of them")
    return found[0] if found else None
