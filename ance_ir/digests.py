"""Digests of contents, 128 bits in hexadecimal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def digest_of(value: Any) -> str:
    """A hash of a value that JSON can express, 32 hexadecimal digits; the order of keys does not count."""
    return digest_bytes([json.dumps(value, sort_keys=True).encode()])


def digest_bytes(parts: Iterable[bytes | memoryview]) -> str:
    """A hash of bytes that come in parts, 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def hash_files(paths: Iterable[Path], named: Callable[[Path], str] = lambda path: path.name) -> str:
    """Hexadecimal digest (128 bits) of the names and contents of files, in the order given.

    Args:
        paths: the files.
        named: what counts as the name of one.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(named(path).encode(errors="surrogateescape") + b"\0" + path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
