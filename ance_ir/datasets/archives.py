"""Archives in which a collection came, as BEIR's zip files: unpacked once into the cache, and read as the folder that they hold."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ance_ir.compression import TAR, check_readable, compression_of, damage_named, is_of_macos, plain_name, zip_files
from ance_ir.digests import digest_bytes, digest_of
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.files import atomic_folder, cache_folder, read_json, remove_folder, write_json
from ance_ir.locks import make_once

logger = logging.getLogger(__name__)

_MARKER = "archive.json"
_SIGNED = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether a path is that of a zip file of several files, or of a tar file, compressed or not, by their content.

    Raises:
        DatasetError: it is damaged.
        MissingDependencyError: it is compressed with zstd, and zstandard is not installed.
    """
    if not path.is_file():
        return False
    with path.open("rb") as plain:
        compression = compression_of(plain.peek(1))
        if compression is None or compression.name != "zip":
            stream = compression.open(path, plain) if compression else plain
            return TAR.match(stream.peek(1)) is not None
        with damage_named(path, "zip"), zipfile.ZipFile(plain) as archive:
            return len(zip_files(archive)) > 1


def unpacked(path: Path) -> Path:
    """The folder with the files of an archive, in the cache: that of the archive's name, or the only one that it holds.

    When the archive has changed, by its size, its time of change, or what ``_sign`` sees, it is unpacked again, and what was unpacked
    before is removed.

    Raises:
        DatasetError: it is damaged, encrypted, or holds links or paths that lead out of the folder.
    """
    place, found = path.resolve(), path.resolve().stat()
    folder = cache_folder() / "archives" / digest_of([str(place), found.st_size, found.st_mtime_ns, _sign(place)])

    def make() -> None:
        unpack(path, folder)
        _remove_others(place, folder)

    make_once(folder, (folder / _MARKER).exists, make, "unpacking an archive")
    return innermost(folder / "content")


def _sign(path: Path) -> list[Any]:
    """What of an archive's content is soon read: the names and checksums in a zip file, the first and the last bytes of another."""
    with path.open("rb") as plain:
        compression = compression_of(plain.peek(1))
        if compression is not None and compression.name == "zip":
            with damage_named(path, "zip"), zipfile.ZipFile(plain) as archive:
                return [(file.filename, file.file_size, file.CRC) for file in zip_files(archive)]
        first = plain.read(_SIGNED)
        plain.seek(max(0, path.stat().st_size - _SIGNED))
        return [digest_bytes([first, plain.read()])]


def _remove_others(place: Path, folder: Path) -> None:
    """Remove what was unpacked from the same archive before; what cannot be removed stays."""
    for marker in folder.parent.glob(f"*/{_MARKER}"):
        if marker.parent != folder:
            with contextlib.suppress(OSError, MalformedFileError):
                if read_json(marker) == _about(place):
                    remove_folder(marker.parent)


def _about(place: Path) -> dict[str, str]:
    return {"archive": str(place)}


def unpack(path: Path, folder: Path) -> Path:
    """Unpack an archive into a new folder; the folder within it that ``unpacked`` gives.

    Raises:
        DatasetError: see ``unpacked``.
    """
    logger.info("%s is unpacked into %s", path, folder)
    name = plain_name(path.name).removesuffix(".tar").removesuffix(".tgz") or "archive"
    with atomic_folder(folder, _MARKER) as temporary:
        with damage_named(path, "archive"):
            for member, stream in _members(path):
                target = temporary / "content" / name / _safe(path, member)
                if target.exists():
                    raise _refused(path, member, "a path twice")
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as written:
                    shutil.copyfileobj(stream, written)
        write_json(temporary / _MARKER, _about(path.resolve()))
    return innermost(folder / "content")


def innermost(folder: Path) -> Path:
    """The only folder in a folder, and so on, down to one that holds anything else than one folder."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    return innermost(entries[0]) if len(entries) == 1 and entries[0].is_dir() else folder


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of an archive: name and content, which is to be read before the next."""
    with path.open("rb") as plain:
        compression = compression_of(plain.peek(1))
        if compression is not None and compression.name == "zip":
            yield from _of_zip(path, plain)
            return
        if compression is None and not _ends_like_tar(plain):
            raise EOFError("it ends early")
        yield from _of_tar(path, compression.open(path, plain) if compression else plain)


def _ends_like_tar(plain: io.BufferedReader[Any]) -> bool:
    """Whether the last block is empty: where tar files are cut between two files, ``tarfile`` does not notice."""
    plain.seek(-tarfile.BLOCKSIZE, io.SEEK_END)
    last = plain.read()
    plain.seek(0)
    return not last.strip(b"\0")


def _of_zip(path: Path, plain: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(plain) as archive:
        for file in zip_files(archive):
            check_readable(path, file)
            if stat.S_ISLNK(file.external_attr >> 16):
                raise _refused(path, file.filename, "a link")
            with archive.open(file) as stream:
                yield file.filename, stream


def _of_tar(path: Path, content: io.BufferedReader[Any]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=content, mode="r|") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None and not is_of_macos(member.name):
                yield member.name, stream
            elif not (member.isreg() or member.isdir()):
                raise _refused(path, member.name, "a link or device")
    while content.read(1 << 16):  # to the end, where a compressed file has its checksum
        pass


def _safe(path: Path, member: str) -> PurePosixPath:
    """The place of a file within the folder."""
    name = PurePosixPath(member.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.parts or "\0" in member:
        raise _refused(path, member, "a path that leads out of the archive's folder")
    return name


def _refused(path: Path, member: str, what: str) -> DatasetError:
    return DatasetError(f"{path} holds {what}, {member!r}; it is not unpacked. Unpack it yourself if you trust it, and name the folder")
