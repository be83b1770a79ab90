"""From documents to vectors on disk with a model that costs nothing: the time that everything but the model takes."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ance_ir.arrays import growing_array
from ance_ir.datasets import Dataset, Document, DocumentStore
from ance_ir.eval.bench.rounds import alternate, medians, ratio
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.indexes.store.vectors import Shard, checked_vectors
from ance_ir.models import DenseEncoder, Tower
from ance_ir.models.dense.static import StaticBackbone, StaticConfig
from ance_ir.models.dense.tower import Compute
from ance_ir.models.dense.workers import Workers
from ance_ir.models.text.settings import Text
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.models.text.tokens import Tokens

LIBRARY = "encode_batch_fast, 1 process"
TOKENISING = "reading and tokenising, 1 process"


class Free(Tower):
    """Gives vectors of ones, without computing.

    Args:
        dimension: of a vector.
        device: where token ids go.
    """

    def __init__(self, dimension: int, device: torch.device) -> None:
        super().__init__(StaticBackbone(StaticConfig(1, dimension)), pooling="mean")
        self.to(device)
        self._one_1D = torch.ones(1, dimension, device=device)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor | None, compute: Compute | None = None) -> Tensor:
        """Ones, ``[B, D]``."""
        return self._one_1D.expand(len(ids_BL), -1)


@dataclass(frozen=True)
class _Library:
    """In a process: what the library ``tokenizers`` makes of texts, and nothing else."""

    tokenizer: TextTokenizer
    pieces: Sequence[Sequence[Text]]

    def __call__(self, place: int) -> Tokens:
        self.tokenizer.tokenizer.backend_tokenizer.encode_batch_fast(self.pieces[place], add_special_tokens=False)
        return Tokens.of([])


@dataclass(frozen=True)
class _Sending:
    """In a process: tokens that are there already."""

    pieces: Sequence[Tokens]

    def __call__(self, place: int) -> Tokens:
        return self.pieces[place]


@dataclass(frozen=True)
class _Any:
    """In a process: one of several ways to cut, by its name."""

    ways: Mapping[str, Callable[[Any], Tokens]]

    def __call__(self, named: tuple[str, Any]) -> Tokens:
        name, piece = named
        return self.ways[name](piece)


def bench_ingest(
    dataset: Dataset,
    model: str,
    *,
    documents: int = 20_000,
    length: int = 128,
    workers: int = 1,
    rounds: int = 3,
    device: str | None = None,
) -> pd.DataFrame:
    """Time the stages from documents to vectors on disk, and all of them together, with a model that costs nothing.

    Args:
        dataset: whose first documents.
        model: whose tokeniser, and dimension of vectors.
        documents: how many.
        length: tokens that a document is cut to; each is one passage.
        workers: processes that read and tokenise when all stages run together; 0: a thread.
        rounds: that count; the stages take turns in each.
        device: where token ids go.

    Returns:
        A row for each ``stage``: ``passages/s``, and ``÷ library``, that rate relative to the one of ``encode_batch_fast`` of the library
        ``tokenizers``, on the same texts in one process. The process that feeds the model gets token ids from another process.
    """
    encoder = DenseEncoder.from_pretrained(model, device=device, passage_length=length)
    free = encoder._remade(query_tower=Free(encoder.dimension, encoder.device), passage_tower=None)
    some = list(itertools.islice(dataset.usable_documents(), documents))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        seconds = alternate(_stages(free, some, workers, Path(folder), stack), rounds)
    found = medians(seconds)
    rows = [{"stage": name, "passages/s": len(some) / found[name], "÷ library": ratio(seconds, LIBRARY, name)} for name in found]
    return pd.DataFrame(rows)


def _stages(
    free: DenseEncoder, documents: Sequence[Document], workers: int, folder: Path, stack: contextlib.ExitStack
) -> dict[str, Callable[[], object]]:
    """What each stage does with all documents; processes end with the stack."""
    store = DocumentStore.build(documents, folder / "store")
    cut = Cutting(store=store, tokenizer=free.tokenizer, passages=FirstP())
    pieces = list(cut.pieces(np.arange(len(store))))
    texts = [[_clean(free.tokenizer, free.settings.join(store[number])) for number in piece.tolist()] for piece in pieces]
    ways: dict[str, Callable[[Any], Tokens]] = {
        "library": _Library(free.tokenizer, texts),
        "ours": cut,
        "there already": _Sending([*map(cut, pieces)]),
    }
    process = stack.enter_context(Workers(_Any(ways), 1))

    def made(way: str, some: Iterable[Any]) -> Generator[Tokens]:
        return process.tokenized(((way, piece) for piece in some), free.device)

    vectors_PD = np.ones((len(store), free.dimension), dtype=np.float32)
    return {
        "documents to disk": lambda: DocumentStore.build(documents, folder / "again"),
        "reading": lambda: [[free.settings.join(store[number]) for number in piece.tolist()] for piece in pieces],
        LIBRARY: lambda: _exhaust(made("library", range(len(pieces)))),
        TOKENISING: lambda: _exhaust(made("ours", pieces)),
        "feeding the model, 1 process": lambda: _exhaust(free.encode_tokens(made("there already", range(len(pieces))))),
        "vectors to disk": lambda: _write(vectors_PD, folder / "vectors.npy"),
        f"all but documents to disk, {_by(workers)}": lambda: index_corpus(
            folder / "x.ance", free, store, FirstP(), overwrite=True, workers=workers
        ),
    }


def _clean(tokenizer: TextTokenizer, text: Text) -> Text:
    """The text as the tokeniser gets it."""
    return tokenizer.clean(text) if isinstance(text, str) else (tokenizer.clean(text[0]), tokenizer.clean(text[1]))


def _exhaust(stream: Iterable[object]) -> None:
    for _ in stream:
        pass


def _write(vectors_PD: np.ndarray, path: Path) -> None:
    """As the encoding of a corpus does: in blocks, checked, with a checksum of the file."""
    with growing_array(path, vectors_PD.shape[1], vectors_PD.dtype) as append:
        for block_PD in np.array_split(vectors_PD, range(_BLOCK, len(vectors_PD), _BLOCK)):
            append(checked_vectors(block_PD, block_PD.dtype, str)[0])
    Shard.of(path, len(vectors_PD))


_BLOCK = 4096


def _by(workers: int) -> str:
    return f"{workers} processes tokenise" if workers > 1 else "1 process tokenises" if workers else "a thread tokenises"
