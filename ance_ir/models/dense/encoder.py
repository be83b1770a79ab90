"""What the transformers and the cache of query vectors need of a dense encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ance_ir.models.compute.inference import Progress
from ance_ir.models.dense.tower import Tower
from ance_ir.models.text.settings import PassageScheme, Text, TextSettings


class Encoder(Protocol):
    """A dense encoder; see ``DenseEncoder``, which is one."""

    name: str
    query_tower: Tower

    @property
    def settings(self) -> TextSettings:
        """How it reads text."""
        ...

    @property
    def similarity(self) -> str:
        """``"dot"`` or ``"cosine"``."""
        ...

    @property
    def dimension(self) -> int:
        """Dimensions of a vector."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in."""
        ...

    def fingerprint(self) -> str:
        """Hash of weights and settings."""
        ...

    def fingerprints(self) -> tuple[str, str]:
        """The fingerprint, and the hash of what vectors of passages depend on, and of all settings."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """float32 ``[len(texts), D]``."""
        ...

    def encode_passages(self, texts: Sequence[Text]) -> np.ndarray:
        """float32 ``[len(texts), D]``."""
        ...

    def encode_documents(
        self, texts: Sequence[Text], scheme: PassageScheme, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """float32 ``[passages, D]``, and int64 ``[len(texts)]`` passages of each."""
        ...
