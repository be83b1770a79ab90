"""Query vectors on disk, so that a query is encoded once by each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.models.dense.encoder import Encoder
from ance_ir.vector_file import VectorFile, key_of


class QueryCache:
    """Vectors by the model's fingerprint and precision and the query's text.

    Args:
        path: of the file, which is made with its folder when it is first needed.
        model: its fingerprint is taken now, since hashing weights takes longer than encoding a query: make another cache after training.
    """

    def __init__(self, path: Path | str, model: Encoder) -> None:
        self._file = VectorFile(path, "query vectors")
        self._key = _key(model)

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def encode(self, model: Encoder, texts: Sequence[str]) -> np.ndarray:
        """What ``model.encode_queries`` gives, float32 ``[len(texts), D]``; what the cache lacks is encoded and kept.

        Raises:
            UsageError: there is something else at the path, or the model has changed since the cache was made.
        """
        keys = [key_of(self._key, text) for text in texts]
        vectors = self._file.read(keys, model.dimension)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            if _key(model) != self._key:
                raise UsageError(f"{self.path}: the model has changed since its query encoder was made; make another one")
            fresh = dict(zip(missing, model.encode_queries(list(missing.values())), strict=True))
            self._file.write(fresh)
            vectors |= fresh
        return np.stack([vectors[key] for key in keys]) if keys else np.zeros((0, model.dimension), dtype=np.float32)


def _key(model: Encoder) -> bytes:
    return f"{model.fingerprint()} {model.precision} ".encode()
