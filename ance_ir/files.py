"""Writing of files and folders that appear whole or not at all.

A file is written under a temporary name in its own folder, flushed to disk, then renamed; a folder likewise.
What had the name before stays until the rename.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import json
import logging
import os
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ance_ir.errors import UsageError
from ance_ir.exchange import exchange
from ance_ir.reading import open_binary, parse_json

logger = logging.getLogger(__name__)

TEMPORARY = ".partial-"
"""Part of the name of unfinished work; the machine and the process that it belongs to follow."""

ASIDE = ".replaced-"
"""The same for what was moved aside to make room."""

_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "localhost"
_WINDOWS = sys.platform == "win32"


def as_path(path: Path | str) -> Path:
    """The path that a user gave, with ``~`` expanded. All paths from outside pass through here."""
    return Path(os.path.expanduser(path))  # leaves unknown users as they are


def data_folder() -> Path | None:
    """The folder in which collection directories are found by name: ``$ANCE_IR_DATA``; ``None`` if it is not set."""
    return as_path(os.environ["ANCE_IR_DATA"]) if os.environ.get("ANCE_IR_DATA") else None


def cache_folder() -> Path:
    """The folder of derived data: ``$ANCE_IR_CACHE``, else ``~/.cache/ance_ir``."""
    return as_path(os.environ.get("ANCE_IR_CACHE") or "~/.cache/ance_ir")


_MARKED = re.compile(
    rf"(?P<name>.+)(?P<sign>{re.escape(TEMPORARY)}|{re.escape(ASIDE)})(?P<host>[A-Za-z0-9]+)-(?P<process>\d+)-[0-9a-f]{{8}}"
)


def _marked(path: Path, sign: str = TEMPORARY) -> Path:
    return path.with_name(f"{path.name}{sign}{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove unfinished work from a folder, of names that begin with ``name``, if its process on this machine has ended.

    What was moved aside for something that never came gets its name back instead.
    """
    for entry in list(folder.iterdir()) if folder.is_dir() else []:
        found = _MARKED.fullmatch(entry.name)
        if not found or not found["name"].startswith(name) or found["host"] != _HOST or _runs(int(found["process"])):
            continue
        if found["sign"] == ASIDE:
            restore(entry.with_name(found["name"]))
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def restore(path: Path) -> None:
    """Give a folder its name back if it was moved aside for another that never came; see ``replace_folder``."""
    if os.path.lexists(path) or not path.parent.is_dir():
        return
    found = ((entry, _MARKED.fullmatch(entry.name)) for entry in path.parent.iterdir())
    aside = [entry for entry, parts in found if parts and parts["sign"] == ASIDE and parts["name"] == path.name]
    if aside:
        with contextlib.suppress(FileNotFoundError):  # another process has done it
            max(aside, key=lambda entry: entry.lstat().st_ctime_ns).rename(path)
            logger.warning("%s is restored: a process ended before it had replaced it", path)


def _runs(process: int) -> bool:
    if _WINDOWS:  # it takes signal 0 for Ctrl-C, so what others have left stays
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary file name next to ``path``; rename the file to ``path`` on success, remove it on failure.

    Raises:
        UsageError: there is a folder at the path.
    """
    path = as_path(path).resolve()  # the target of a link is replaced, not the link
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected the name of a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _marked(path)
    try:
        with naming(path):
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    remove_leftovers(path.parent, path.name)


@contextlib.contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """While entered, an OSError that names no file, such as that of a full disk, gets this name."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_DISKS:
            error.filename = str(path)
        raise


_OF_DISKS = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}


@contextlib.contextmanager
def atomic_open(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing, ``"w"`` (UTF-8) or ``"wb"``, so that it appears whole or not at all. A name in ``.gz`` is compressed."""
    with atomic_path(path) as temporary, temporary.open("wb") as plain, contextlib.ExitStack() as stack:
        stream: Any = plain
        if str(path).endswith(".gz"):  # no name and no time inside: equal content gives equal bytes
            stream = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0))
        if "b" not in mode:
            stream = stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8", newline="\n"))
        yield stream


@contextlib.contextmanager
def atomic_folder(path: Path | str, marker: str) -> Iterator[Path]:
    """Yield a new temporary folder next to ``path``; it replaces ``path`` on success and is removed on failure.

    Args:
        path: the folder; what was there is lost.
        marker: a file that every such folder has. Another folder without it that is not empty is never replaced.

    Raises:
        UsageError: something else is at the path.
    """
    path = as_path(path).resolve()
    restore(path)
    check_replaceable(path, marker)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary:
        yield temporary
        check_replaceable(path, marker)  # it may have appeared meanwhile
        replace_folder(temporary, path)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder next to ``path``, named after it, which is removed at the end, with leftovers of killed processes."""
    remove_leftovers(path.parent, path.name)
    temporary = _marked(path)
    temporary.mkdir()
    try:
        with naming(path):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(path: Path, marker: str) -> None:
    """Refuse to replace a folder that is not ours: one that is not empty and lacks the marker.

    Raises:
        UsageError: something else is at the path.
    """
    if path.is_file() or (path.is_dir() and not (path / marker).exists() and any(path.iterdir())):
        raise UsageError(f"{path} holds something else (there is no {marker} in it), which would be lost; choose another path")


def flush_folder(folder: Path) -> None:
    """Flush all files of a folder to disk."""
    for entry in folder.rglob("*"):
        if entry.is_file():
            _flush(entry)


def replace_folder(source: Path, target: Path) -> None:
    """Flush the folder ``source`` and give it the name ``target``; the folder that had it is removed.

    They are swapped in one step. If the system cannot, the old folder is moved aside first; if this process ends at that instant,
    ``restore`` brings it back.
    """
    flush_folder(source)
    aside = source
    while True:
        try:
            if not os.path.lexists(target):
                source.rename(target)
            elif not exchange(source, target):
                aside = _marked(target, ASIDE)
                target.rename(aside)
                source.rename(target)
            break
        except BaseException as error:
            restore(target)
            overtaken = isinstance(error, OSError) and error.errno in _OVERTAKEN
            if not (overtaken and source.exists() and target.parent.exists()):
                raise
    _flush(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


_OVERTAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}
"""Another process has put its own folder there, or has removed the old one, since this one looked."""


def remove_folder(path: Path) -> None:
    """Remove a folder; at no time is a part of it there under its name."""
    aside = _marked(path)
    path.rename(aside)
    shutil.rmtree(aside)


def link(source: Path, target: Path) -> None:
    """Give a file or a folder a second name; copies where the system allows no symbolic links, as Windows does at first."""
    try:
        target.symlink_to(source)
    except OSError:
        if source.is_dir():
            shutil.copytree(source, target, copy_function=linked_copy)
        else:
            linked_copy(source, target)


def linked_copy(source: Path | str, target: Path | str) -> None:
    """Give a file that is only ever replaced a second name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk. Windows does so only with files, and only with those that are open for writing."""
    if _WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    with atomic_open(path) as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False)
        stream.write("\n")


def read_json(path: Path | str) -> Any:
    """The value in a JSON file.

    Raises:
        MalformedFileError: it is no JSON.
    """
    with open_binary(path) as stream:
        return parse_json(path, stream.read())
