"""Learned sparse encoders: SPLADE and others of sentence-transformers, whose vectors have a weight for each term of a vocabulary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from ance_ir.errors import ModelError
from ance_ir.models.library.folder import find_folder
from ance_ir.models.library.wrapped import Wrapped, open_library
from ance_ir.models.loading.family import Family, family_of
from ance_ir.models.loading.weight_files import architectures

logger = logging.getLogger(__name__)

_FAMILY: Family = "sparse encoder"

_LOGITS = {"cpu": 1 << 27, "cuda": 1 << 30}
"""Numbers that a batch computes at most: texts × tokens × vocabulary."""

_BATCH = 64
"""Texts of a batch at most."""


class SparseEncoder(Wrapped):
    """Encodes texts as sparse vectors of V weights, none negative: the relevance of a document is the dot product.

    Args:
        model: a ``SparseEncoder`` of sentence-transformers.
        name: the folder or hub name that opens it again.

    Attributes:
        dimension: the size of the vocabulary, V.
    """

    def __init__(self, model: Any, name: str) -> None:
        super().__init__(model, name)
        self.dimension = int(model.encode_query("").shape[0])  # some modules learn it from the first text only

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str | torch.device | None = None) -> SparseEncoder:
        """Open a folder of sentence-transformers' ``SparseEncoder``, or a masked language model, which is read as SPLADE with maximum
        pooling (Formal et al., 2021, https://arxiv.org/abs/2109.10086).

        Args:
            name: a folder or hub name.
            device: where it computes; by default the GPU if there is one.

        Raises:
            ModelError: it is nowhere, is something else, or does not load.
            MissingDependencyError: sentence-transformers is not installed.
        """
        folder = find_folder(name, _FAMILY)
        if family_of(folder) != _FAMILY:
            _check_masked(name, folder)
        return cls(*open_library(name, folder, "SparseEncoder", _FAMILY, "sparse", device))

    def encode_queries(self, texts: Sequence[str]) -> csr_array:
        """The vectors of queries, float32 ``[len(texts), V]``.

        Raises:
            ModelError: a weight is negative or not finite.
        """
        return self._encoded(self.model.encode_query, texts)

    def encode_documents(self, texts: Sequence[str]) -> csr_array:
        """The vectors of documents, float32 ``[len(texts), V]``; what a text has beyond the model's length is not read.

        Raises:
            ModelError: a weight is negative or not finite.
        """
        return self._encoded(self.model.encode_document, texts)

    def _facts(self) -> dict[str, str]:
        return {"vector": f"{self.dimension:,} terms", "score": "dot product"}

    def _encoded(self, encode: Callable[..., Any], texts: Sequence[str]) -> csr_array:
        if not len(texts):
            return csr_array(np.zeros((0, self.dimension), dtype=np.float32))
        most = _LOGITS.get(self.device.type, _LOGITS["cpu"]) // (self.dimension * (getattr(self.model, "max_seq_length", None) or 1))
        vectors = self._in_batches(encode, texts, min(_BATCH, max(1, most)), save_to_cpu=True).coalesce()
        rows, columns = vectors.indices().numpy()
        weights = vectors.values().to(torch.float32).numpy()
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ModelError(f"{self.name}: a text has a weight that is negative or no finite number; sparse search needs 0 or more")
        return csr_array((weights, (rows, columns)), shape=(len(texts), self.dimension))


def _check_masked(name: str | Path, folder: Path) -> None:
    """Refuse a folder that sentence-transformers would make a sparse encoder with random weights of.

    Raises:
        ModelError: it is no masked language model.
    """
    if not (folder / "config.json").exists() or not any(one.endswith("ForMaskedLM") for one in architectures(folder)):
        raise ModelError(f"{name} is no sparse encoder: neither sentence-transformers' SparseEncoder nor a masked language model")
    if "splade" not in str(name).lower():
        logger.warning("%s does not say that it is a sparse encoder; it is read as SPLADE with maximum pooling", name)
