"""Query vectors on disk, so that a query is encoded once by each model: one SQLite file, which several processes may use together."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.files import as_path
from ance_ir.models.dense.encoder import Encoder

_WAIT = 60.0
"""Seconds to wait for another process that writes."""

_KEYS = 500
"""Keys that are asked for at once; SQLite allows 999 in its older versions."""


class QueryCache:
    """Vectors by the model's fingerprint and precision and the query's text.

    Args:
        path: of the file, which is made with its folder when it is first needed.
        model: its fingerprint is taken now, since hashing weights takes longer than encoding a query: make another cache after training.
    """

    def __init__(self, path: Path | str, model: Encoder) -> None:
        self.path = as_path(path)
        self._key = _key(model)

    def encode(self, model: Encoder, texts: Sequence[str]) -> np.ndarray:
        """What ``model.encode_queries`` gives, float32 ``[len(texts), D]``; what the cache lacks is encoded and kept.

        Raises:
            UsageError: there is something else at the path, or the model has changed since the cache was made.
        """
        keys = [hashlib.blake2b(self._key + text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        with self._opened() as connection:
            vectors = self._read(connection, keys, model.dimension)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            if _key(model) != self._key:
                raise UsageError(f"{self.path}: the model has changed since its query encoder was made; make another one")
            fresh = dict(zip(missing, model.encode_queries(list(missing.values())), strict=True))
            rows = [(key, vector.astype("<f4").tobytes()) for key, vector in fresh.items()]
            with self._opened() as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            vectors |= fresh
        return np.stack([vectors[key] for key in keys]) if keys else np.zeros((0, model.dimension), dtype=np.float32)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection for one use: none crosses a fork or a thread, and none is pickled."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=_WAIT)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
                yield connection
        except sqlite3.Error as error:
            raise UsageError(
                f"{self.path} cannot be used as a cache of query vectors ({error}); remove it, or name another file"
            ) from error

    @staticmethod
    def _read(connection: sqlite3.Connection, keys: list[bytes], dimension: int) -> dict[bytes, np.ndarray]:
        vectors = {}
        for start in range(0, len(keys), _KEYS):
            asked = keys[start : start + _KEYS]
            rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(asked))})", asked)
            vectors.update({key: np.frombuffer(vector, dtype="<f4") for key, vector in rows if len(vector) == 4 * dimension})
        return vectors


def _key(model: Encoder) -> bytes:
    return f"{model.fingerprint()} {model.precision} ".encode()
