"""Hashes of the files of datasets, kept from one process to the next: to read a large corpus for its hash takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ance_ir.digests import digest_of, hash_files
from ance_ir.files import cache_folder, read_json, write_json
from ance_ir.locks import make_once

LEAST = 64 << 20
"""Bytes from which on a hash is kept."""

SETTLED = 10.0
"""Seconds since the last change of a file before its hash is kept: clocks of file systems are coarse."""


def hash_of_files(paths: Iterable[Path], named: Callable[[Path], str] = lambda path: path.name) -> str:
    """What ``hash_files`` gives; files that have not changed since another call are not read again, whichever process made it.

    A file has changed if its size, its inode or the times of its last changes are others. Without a cache that can be written, all are
    read each time.

    Args:
        paths: the files.
        named: what counts as the name of one.
    """
    files = list(paths)
    states = [path.stat() for path in files]
    last = max((max(state.st_mtime, state.st_ctime) for state in states), default=0.0)
    if sum(state.st_size for state in states) < LEAST or time.time() - last < SETTLED:
        return hash_files(files, named)
    signs = [[one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns] for one in states]
    key = digest_of([[named(path), str(path.resolve()), sign] for path, sign in zip(files, signs, strict=True)])
    kept = cache_folder() / "hashes" / f"{key}.json"
    try:
        make_once(kept, kept.exists, lambda: write_json(kept, hash_files(files, named)), "hashing the files of a dataset")
        return str(read_json(kept))
    except OSError:
        return hash_files(files, named)
