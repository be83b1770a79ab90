"""Vectors on disk by keys: one SQLite file, which several processes may use together. What is written stays, whenever a process ends."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.files import as_path

_WAIT = 60.0
"""Seconds to wait for another process that writes."""

_KEYS = 500
"""Keys that are asked for at once; SQLite allows 999 in its older versions."""


class VectorFile:
    """Arrays of vectors, float32, by keys of 16 bytes.

    Args:
        path: of the file, which is made with its folder when it is first needed.
        what: the file holds, for errors: ``"query vectors"``.
    """

    def __init__(self, path: Path | str, what: str) -> None:
        self.path = as_path(path)
        self.what = what

    def read(self, keys: Sequence[bytes], dimension: int | None = None) -> dict[bytes, np.ndarray]:
        """What there is of some keys, each float32 and flat.

        Args:
            keys: as ``key_of`` makes them.
            dimension: the length that they must have; others count as missing.

        Raises:
            UsageError: there is something else at the path.
        """
        vectors = {}
        with self._opened() as connection:
            for start in range(0, len(keys), _KEYS):
                asked = keys[start : start + _KEYS]
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(asked))})", asked)
                vectors.update({key: np.frombuffer(vector, dtype="<f4") for key, vector in rows if dimension in (None, len(vector) // 4)})
        return vectors

    def write(self, vectors: Mapping[bytes, np.ndarray]) -> None:
        """Keep vectors by their keys, all or none.

        Raises:
            UsageError: there is something else at the path.
        """
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        with self._opened() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection for one use: none crosses a fork or a thread, and none is pickled."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=_WAIT)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
                yield connection
        except sqlite3.Error as error:
            raise UsageError(f"{self.path} cannot be used as a cache of {self.what} ({error}); remove it, or name another file") from error


def key_of(model: bytes, text: str) -> bytes:
    """The key of a text's vectors by a model.

    Args:
        model: what identifies the model.
        text: the text.
    """
    return hashlib.blake2b(model + text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
