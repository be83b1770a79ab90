"""Token vectors of documents on disk, so that a document is encoded once by each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.models.library.multi_vector import MultiVectorEncoder
from ance_ir.vector_file import VectorFile, key_of


class TokenCache:
    """Token vectors, float32, by the model's fingerprint and the document's text.

    Args:
        path: of the file, which is made with its folder when it is first needed.
        model: its fingerprint is taken now, since hashing weights takes longer than encoding a document.
    """

    def __init__(self, path: Path | str, model: MultiVectorEncoder) -> None:
        self._file = VectorFile(path, "token vectors")
        self._fingerprint = model.fingerprint()

    def encode(self, model: MultiVectorEncoder, texts: Sequence[str]) -> list[np.ndarray]:
        """What ``model.encode_documents`` gives; what the cache lacks is encoded and kept.

        Raises:
            UsageError: there is something else at the path, or the model has changed since the cache was made.
        """
        keys = [key_of(self._fingerprint.encode(), text) for text in texts]
        vectors = self._file.read(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            if model.fingerprint() != self._fingerprint:
                raise UsageError(f"{self._file.path}: the model has changed since its reranker was made; make another one")
            fresh = dict(zip(missing, model.encode_documents(list(missing.values())), strict=True))
            self._file.write(fresh)
            vectors |= fresh
        return [np.array(vectors[key]).reshape(-1, model.dimension) for key in keys]  # torch wants to own what it takes
