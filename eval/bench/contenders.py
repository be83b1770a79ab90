"""Contenders: ways to encode the same texts with the same weights, cut to the same length."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ance_ir.eval.bench.graphs import RUNTIMES, put_in, runnable
from ance_ir.eval.bench.rounds import OURS
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.precision import Precision
from ance_ir.optional import optional

LIBRARY = "sentence-transformers"
PLAIN = "plain loop"
_BATCH = 32
_BATCHES = (8, 16, _BATCH)
_TRIED = 128


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way of encoding.

    Attributes:
        encode: texts to vectors, float32 ``[N, D]``.
        module: the module that is called with each padded batch of token ids, or of features that hold them.
    """

    encode: Callable[[Sequence[str]], np.ndarray]
    module: nn.Module

    @contextmanager
    def counted(self) -> Iterator[list[int]]:
        """While entered, collects the number of tokens of each batch encoded, padding included."""
        sizes: list[int] = []

        def count(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            ids = arguments[0] if isinstance(arguments[0], torch.Tensor) else arguments[0]["input_ids"]
            sizes.append(ids.numel())

        hook = self.module.register_forward_pre_hook(count)
        try:
            yield sizes
        finally:
            hook.remove()


def names(precisions: Sequence[Precision], device: str) -> list[str]:
    """All contenders: ours at each precision, then the others."""
    return [*map(our_name, precisions), LIBRARY, *runnable(list(precisions), device), PLAIN]


def rival(name: str) -> str:
    """Ours at the precision of a contender."""
    if name.startswith(OURS):
        return name
    return our_name(RUNTIMES[name].precision) if name in RUNTIMES else OURS


def our_name(precision: Precision) -> str:
    """The name of ours at a precision; float32 needs no addition."""
    return OURS if precision == "float32" else f"{OURS} {precision}"


def open_contender(
    name: str, folder: Path, length: int, device: str, texts: Sequence[str], batch: int | None = None
) -> tuple[str, Contender]:
    """Open a contender.

    Args:
        name: one of ``names``.
        folder: a checkpoint that this package wrote.
        length: tokens of a text.
        device: where to compute.
        texts: on the first of which sentence-transformers chooses its batch size, and int8 by NNCF is calibrated.
        batch: the batch size that it chose before.

    Returns:
        The contender, and under which name it goes into the table.

    Raises:
        MissingDependencyError: sentence-transformers is not installed, or what a precision needs.
    """
    if name == LIBRARY:
        return _library(folder, length, device, texts, batch)
    if name in RUNTIMES:
        return name, _graph(name, folder, length, texts)
    if name == PLAIN:
        return PLAIN, _plain(DenseEncoder.from_pretrained(folder, device=device, passage_length=length), length)
    precision: Any = name.removeprefix(OURS).strip() or "float32"
    encoder = DenseEncoder.from_pretrained(folder, device=device, precision=precision, passage_length=length)
    return name, Contender(encode=encoder.encode_passages, module=encoder.passage_tower)


def _opened(folder: Path, length: int, device: str) -> Any:
    library = optional("sentence_transformers", package=LIBRARY, needed_for="this benchmark", remedy=f"pip install {LIBRARY}")
    model = library.SentenceTransformer(str(folder), device=device)
    model.max_seq_length = length
    return model


def _graph(name: str, folder: Path, length: int, texts: Sequence[str]) -> Contender:
    """An exported graph in the hands of sentence-transformers, with its default batches."""
    model = _opened(folder, length, "cpu")
    put_in(name, folder, model, texts)
    return Contender(encode=lambda some: model.encode(list(some), batch_size=_BATCH, convert_to_numpy=True), module=model[0])


def _library(folder: Path, length: int, device: str, texts: Sequence[str], batch: int | None) -> tuple[str, Contender]:
    """Sentence-transformers, with the fastest of several batch sizes; its default is 32."""
    model = _opened(folder, length, device)

    def seconds(size: int) -> float:
        began = time.perf_counter()
        model.encode(list(texts[:_TRIED]), batch_size=size)
        return time.perf_counter() - began

    if batch is None:
        seconds(_BATCH)
        tried = [{size: seconds(size) for size in _BATCHES} for _ in range(2)]
        batch = min(_BATCHES, key=lambda size: min(times[size] for times in tried))
    return f"{LIBRARY}, batch {batch}", Contender(
        encode=lambda some: model.encode(list(some), batch_size=batch, convert_to_numpy=True), module=model[0]
    )


def _plain(encoder: DenseEncoder, length: int) -> Contender:
    """Hugging Face's modules over batches of 32 in the order of the corpus, each padded to its longest text."""
    tower, tokenizer, device = encoder.passage_tower, encoder.tokenizer.tokenizer, encoder.device

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = []
        for start in range(0, len(texts), _BATCH):
            batch = tokenizer(list(texts[start : start + _BATCH]), truncation=True, max_length=length, padding=True, return_tensors="pt")
            vectors.append(tower(batch["input_ids"].to(device), batch["attention_mask"].to(device)).float().cpu().numpy())
        return np.concatenate(vectors)

    return Contender(encode=encode, module=tower)
