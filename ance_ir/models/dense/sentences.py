"""What sentence-transformers' models answer, for tools that expect one."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models.compute.inference import Progress
from ance_ir.models.dense.pooling import POOLINGS, pooling_names
from ance_ir.models.dense.texts import TextEncoding
from ance_ir.models.text.prompts import Prompts
from ance_ir.optional import optional

logger = logging.getLogger(__name__)

Vectors = np.ndarray | Tensor | list[Tensor]


class _Encode(Protocol):
    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray: ...


class SentenceEncoding(TextEncoding):
    """``encode``, ``encode_query`` and ``encode_document`` with the arguments of sentence-transformers' models that most tools give.

    Batches are made by the lengths of texts and the memory there is, so ``batch_size`` is taken and changes nothing.
    """

    _prompts: Prompts

    @property
    def prompts(self) -> dict[str, str]:
        """Prompts by their names: the checkpoint's own, and as ``query`` and ``document`` those that the settings have now."""
        return {**self._prompts.named, "query": self.settings.query_prefix, "document": self.settings.passage_prefix}

    @property
    def instruction_form(self) -> str | None:
        """The form in which the model reads a task before a query, with ``{instruction}`` in it; ``None`` where that is not known."""
        return self._prompts.form

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
        """Vectors of texts of which nobody says whether they are queries or documents.

        A model of two towers takes its passage tower, as the ``Router`` does that ``save`` writes: for queries use ``encode_query``.

        Args:
            sentences: one text or several.
            prompt_name: the name of one of ``prompts`` to put in front; by default the checkpoint's own default, which most have not.
            prompt: a text to put in front, instead.
            batch_size: no effect.
            show_progress_bar: show progress.
            convert_to_numpy: an array and not a list of tensors.
            convert_to_tensor: a tensor and not an array. Tensors are on the model's device.
            normalize_embeddings: scale vectors to length 1.

        Returns:
            float32 ``[len(sentences), D]``, ``[D]`` for one text.

        Raises:
            UsageError: there is no such prompt.
        """
        usual = "" if self._prompts.usual is None else self.prompts[self._prompts.usual]
        model = self.with_settings(passage_prefix=self._prompt(prompt_name, prompt, usual))
        vectors = _vectors(sentences, model.encode_passages, show_progress_bar)
        return _given(vectors, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def encode_query(
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
        """Vectors of queries, by default with the prompt for queries; see ``encode`` and ``encode_queries``."""
        model = self.with_settings(query_prefix=self._prompt(prompt_name, prompt, self.settings.query_prefix))
        vectors = _vectors(sentences, model.encode_queries, show_progress_bar)
        return _given(vectors, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def encode_document(
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
        """Vectors of documents, by default with the prompt for documents; see ``encode`` and ``encode_passages``."""
        model = self.with_settings(passage_prefix=self._prompt(prompt_name, prompt, self.settings.passage_prefix))
        vectors = _vectors(sentences, model.encode_passages, show_progress_bar)
        return _given(vectors, self.device, convert_to_numpy, convert_to_tensor, normalize_embeddings)

    def as_sentence_transformer(self) -> Any:
        """The model as one of sentence-transformers, with weights of its own, on the same device; it has what other tools ask for beyond
        ``encode``, such as ``similarity`` as a function.

        Raises:
            MissingDependencyError: sentence-transformers is not installed.
            UsageError: the model reads or pools texts in a way that sentence-transformers cannot, or was converted to another precision.
        """
        library = optional("sentence_transformers", needed_for="as_sentence_transformer", remedy="pip install sentence-transformers")
        self.check_unconverted("given to sentence-transformers")
        if foreign := self._own_poolings():
            raise UsageError(f"sentence-transformers has no pooling like {foreign[0]}, which {self.name} has; encode with this model")
        if own := self._own_readings():
            raise UsageError(
                f"sentence-transformers cannot read texts with {' and '.join(own)}, as {self.name} does; encode with this model, or change "
                f"that: with_settings({', '.join(f'{name}=False' for name in own)})"
            )
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder) / "model")
            model = library.SentenceTransformer(str(Path(folder) / "model"), device=str(self.device))
        self._shorten_queries(model)
        return model

    def _shorten_queries(self, model: Any) -> None:
        """Have it cut queries as this model does; the folder has one length, as versions before 6 read it."""
        if self.settings.query_length == self.settings.passage_length:
            return
        readers = [module for module in model.modules() if hasattr(module, "query_length")]
        for reader in readers:
            reader.query_length = self.settings.query_length
        if not readers:
            logger.warning(
                "%s cuts queries to %d tokens, and this version of sentence-transformers cannot: there they have up to %d",
                *(self.name, self.settings.query_length, self.settings.passage_length),
            )

    def _own_poolings(self) -> list[str]:
        """Poolings that sentence-transformers does not have."""
        return [name for name in pooling_names(self.query_tower.pooling) if POOLINGS[name].mode is None]

    def _own_readings(self) -> list[str]:
        """Settings that are on, of which sentence-transformers knows nothing."""
        return [name for name in ("title_pair", "strip_question_mark", "mask_padding") if getattr(self.settings, name)]

    def _opens_elsewhere(self) -> bool:
        return not self._own_poolings() and not self._own_readings()

    def _prompt(self, name: str | None, prompt: str | None, usual: str) -> str:
        """The text that is put in front."""
        if prompt is not None or name is None:
            return usual if prompt is None else prompt
        return self.prompts[check_choice("prompt", name, self.prompts)]


def _vectors(sentences: str | Sequence[str], encode: _Encode, show: bool | None) -> np.ndarray:
    """Float32 ``[len(sentences), D]``, ``[D]`` for one text."""
    texts = [sentences] if isinstance(sentences, str) else list(sentences)
    with tqdm(total=len(texts), desc="encoding", unit=" texts", disable=not show) as bar:
        vectors = encode(texts, bar.update)
    return vectors[0] if isinstance(sentences, str) else vectors


def _given(vectors: np.ndarray, device: torch.device, as_array: bool, as_tensor: bool, normalize: bool) -> Vectors:
    """Vectors in the form that was asked for."""
    if normalize:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    if as_array and not as_tensor:
        return vectors
    tensor = torch.from_numpy(vectors).to(device)
    return tensor if as_tensor or tensor.ndim == 1 else list(tensor)
