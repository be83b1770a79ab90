"""Late-interaction encoders: ColBERT and others, which make a vector of each token of a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ance_ir.errors import ModelError
from ance_ir.models.library.folder import find_folder
from ance_ir.models.library.wrapped import Wrapped, open_library
from ance_ir.models.loading.family import Family, family_of

_FAMILY: Family = "multi-vector encoder"

_BATCH = 32
_CHUNK = 1 << 24
"""Numbers that scoring holds at once: the padded vectors of the pairs and their similarities."""


class MultiVectorEncoder(Wrapped):
    """Encodes texts as one vector a token; the relevance of a document is MaxSim: for each query token the largest similarity to a token of
    the document, added up (Khattab and Zaharia, 2020, https://arxiv.org/abs/2004.12832).

    Args:
        model: a ``MultiVectorEncoder`` of sentence-transformers.
        name: the folder or hub name that opens it again.

    Attributes:
        dimension: of each vector, D.
    """

    def __init__(self, model: Any, name: str) -> None:
        super().__init__(model, name)
        self.dimension = int(model.get_embedding_dimension())

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str | torch.device | None = None) -> MultiVectorEncoder:
        """Open a folder of ColBERT (Stanford's layout), PyLate or sentence-transformers.

        Args:
            name: a folder or hub name.
            device: where it computes; by default the GPU if there is one.

        Raises:
            ModelError: it is nowhere, is something else, or does not load.
            MissingDependencyError: sentence-transformers is not installed, or is too old.
        """
        folder = find_folder(name, _FAMILY)
        if family_of(folder) != _FAMILY:  # the library would make one with random weights
            raise ModelError(f"{name} is no multi-vector encoder: expected a folder of ColBERT, PyLate or sentence-transformers")
        return cls(*open_library(name, folder, "MultiVectorEncoder", _FAMILY, "colbert", device))

    def _facts(self) -> dict[str, str]:
        return {"vectors": f"one a token, {self.dimension} dimensions", "score": str(self.model.similarity_fn_name)}

    def encode_queries(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors of each query, float32 ``[tokens, D]``."""
        found: list[np.ndarray] = self._in_batches(self.model.encode_query, texts, _BATCH, convert_to_numpy=True)
        return found

    def encode_documents(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors of each document, float32 ``[tokens, D]``; what a text has beyond the model's length is not read."""
        found: list[np.ndarray] = self._in_batches(self.model.encode_document, texts, _BATCH, convert_to_numpy=True)
        return found

    def score(self, queries: Sequence[np.ndarray], documents: Sequence[np.ndarray]) -> np.ndarray:
        """The similarity of each query and the document beside it, float32 ``[len(queries)]``: MaxSim, or its mean over the query's tokens
        where the model was trained so.
        """
        scores = self.model.similarity_pairwise(list(queries), list(documents), chunk_elements=_CHUNK, device=self.device)
        found: np.ndarray = scores.cpu().numpy()
        return found
