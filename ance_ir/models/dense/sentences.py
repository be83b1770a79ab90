"""What sentence-transformers' models answer, for tools that expect one."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.text.settings import Text, TextSettings
from ance_ir.optional import optional

Vectors = np.ndarray | Tensor | list[Tensor]


class SentenceEncoding(Pretrained[TextSettings]):
    """``encode``, ``encode_query`` and ``encode_document`` with the arguments that sentence-transformers' models have.

    Batches are made by the lengths of texts, so ``batch_size`` and ``show_progress_bar`` are taken and change nothing.
    """

    @abstractmethod
    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of queries, float32 ``[len(texts), D]``."""

    @abstractmethod
    def encode_passages(self, texts: Sequence[Text]) -> np.ndarray:
        """Vectors of passages, float32 ``[len(texts), D]``."""

    def encode(
        self,
        sentences: str | Sequence[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
    ) -> Vectors:
        """Vectors of texts without a role; a model of two towers takes its passage tower, as a ``Router`` does by default.

        Args:
            sentences: one text or several.
            prompt_name: ``"query"`` or ``"document"``: put what ``settings`` has for these in front; by default nothing.
            prompt: a text to put in front, instead.
            batch_size: no effect.
            show_progress_bar: no effect.
            convert_to_numpy: an array and not a list of tensors.
            convert_to_tensor: a tensor on the model's device and not an array.
            normalize_embeddings: scale vectors to length 1.

        Returns:
            float32 ``[len(sentences), D]``, ``[D]`` for one text.
        """
        prompts = {"query": self.settings.query_prefix, "document": self.settings.passage_prefix}
        if prompt is None:
            prompt = "" if prompt_name is None else prompts[check_choice("prompt", prompt_name, prompts)]
        reader = self if prompt == self.settings.passage_prefix else self.with_settings(passage_prefix=prompt)
        return _given(sentences, reader.encode_passages, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def encode_query(
        self,
        sentences: str | Sequence[str],
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
    ) -> Vectors:
        """Vectors of queries; see ``encode`` and ``encode_queries``."""
        return _given(sentences, self.encode_queries, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def encode_document(
        self,
        sentences: str | Sequence[str],
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
    ) -> Vectors:
        """Vectors of documents; see ``encode`` and ``encode_passages``."""
        return _given(sentences, self.encode_passages, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def as_sentence_transformer(self) -> Any:
        """The model as one of sentence-transformers, with weights of its own, on the same device.

        Raises:
            MissingDependencyError: sentence-transformers is not installed.
            UsageError: it reads texts in a way that sentence-transformers cannot, or was converted to another precision.
        """
        library = optional("sentence_transformers", needed_for="as_sentence_transformer", remedy="pip install sentence-transformers")
        self.check_unconverted("given to sentence-transformers")
        own = [name for name in ("title_pair", "strip_question_mark") if getattr(self.settings, name)]
        if own:
            raise UsageError(
                f"sentence-transformers cannot read texts with {' and '.join(own)}, as this model does; encode with this model"
            )
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder) / "model")
            return library.SentenceTransformer(str(Path(folder) / "model"), device=str(self.device))


def _given(sentences: str | Sequence[str], encode: Any, device: torch.device, as_array: bool, as_tensor: bool, normalize: bool) -> Vectors:
    """Vectors in the form that was asked for."""
    vectors: np.ndarray = encode([sentences] if isinstance(sentences, str) else list(sentences))
    if normalize:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    if isinstance(sentences, str):
        vectors = vectors[0]
    if as_tensor:
        return torch.from_numpy(vectors).to(device)
    return vectors if as_array else list(torch.from_numpy(vectors))
