"""Downloads of large files: they resume, in another process too, and have their name only once size and checksum are right."""

from __future__ import annotations

import errno
import hashlib
import os
import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ance_ir.errors import AnceError
from ance_ir.files import naming

PARTIAL = ".part"
"""What the name of a file that is not whole ends with."""

_WAITS = (1, 10, 60)
"""Seconds before a connection is opened again, by how many in turn brought no byte."""

_UNREACHED = {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH}
_LATER = {408, 429}
"""What servers below 500 answer that may be otherwise next time: that it took too long, or that there were too many requests."""

_CHUNK = 1 << 20
_TIMEOUT = 60


class DownloadError(AnceError):
    """A file that cannot be fetched, or is not the one that was expected."""


def download(url: str, path: Path, *, size: int, md5: str, verbose: bool = False) -> None:
    """Fetch a file. What has come of it, in this process or in one before, stays next to it with ``.part`` after its name.

    Args:
        url: its address.
        path: where it shall be.
        size: its bytes.
        md5: its checksum in hexadecimal.
        verbose: show progress.

    Raises:
        DownloadError: it is not reached, the connection breaks again and again, or what came has another size or checksum, and is removed.
    """
    partial = partial_of(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with naming(partial), tqdm(desc=path.name, total=size, unit="B", unit_scale=True, disable=not verbose) as bar:
        _fetch(url, partial, size, bar)
    found = partial.stat().st_size
    if found != size:
        partial.unlink()
        raise DownloadError(f"{url} was expected to have {size:,} bytes, and has {found:,} or more: it has changed; nothing of it is kept")
    with partial.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != md5:
        partial.unlink()
        raise DownloadError(f"{url}: the checksum {md5} was expected, found {digest}: what came is damaged, and is removed; start again")
    partial.replace(path)


def partial_of(path: Path) -> Path:
    """Where the part of a file is that has come so far."""
    return path.with_name(f"{path.name}{PARTIAL}")


def _fetch(url: str, partial: Path, size: int, bar: tqdm[Any]) -> None:
    """Fetch what is missing, in as many connections as it takes; a byte too much ends it."""
    have, failed = _size(partial), 0
    bar.update(have)
    while have < size:
        reason = _connect(url, partial, have, size, bar)
        before, have = have, _size(partial)
        failed = 0 if have > before else failed + 1
        if failed > len(_WAITS):
            raise DownloadError(f"{url} cannot be fetched ({reason}); {have:,} of {size:,} bytes are there, and the same command resumes")
        if failed:
            bar.set_postfix_str(f"{reason}; again in {_WAITS[failed - 1]} s")
            time.sleep(_WAITS[failed - 1])
            bar.set_postfix_str("")


def _connect(url: str, partial: Path, have: int, size: int, bar: tqdm[Any]) -> str:
    """Append what one connection gives; why it gave no more."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-", "User-Agent": "ance_ir", "Accept-Encoding": "identity"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, partial.open("ab") as stream:
            if response.status != 206:  # the server begins again
                stream.truncate(0)
                bar.reset()
                have = 0
            while have <= size and (chunk := response.read(_CHUNK)):
                stream.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
            stream.flush()
            os.fsync(stream.fileno())
    except urllib.error.HTTPError as error:
        if error.code < 500 and error.code not in _LATER:
            raise DownloadError(f"{url} cannot be fetched: the server answers {error.code} ({error.reason})") from None
        return f"the server answers {error.code}"
    except urllib.error.URLError as error:
        return f"it is not reached: {error.reason}"
    except (HTTPException, OSError) as error:  # a full disk is one, too
        if not isinstance(error, (HTTPException, TimeoutError, ConnectionError, ssl.SSLError)) and error.errno not in _UNREACHED:
            raise
        return f"{type(error).__name__}: {error}"
    return "the connection ended early"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
