"""From documents to vectors on disk with a model that costs nothing: the time that everything but the model takes."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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

LIBRARY = "encode_batch_fast"
TOKENISING = "reading and tokenising"
FEEDING = "feeding the model"


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
class _Sending:
    """In a process: tokens that are there already."""

    pieces: Sequence[Tokens]

    def __call__(self, place: int) -> Tokens:
        return self.pieces[place]


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
        A row for each ``stage``: ``passages/s of a core``, which for the stages that one process does is that of its processor time, so
        that other work on the machine does not count; ``passages/s``, by the clock, for all of them together; and ``÷ library``, the
        former relative to ``encode_batch_fast`` of the library ``tokenizers`` on the same texts. What is tokenised is made ready to be
        sent to another process; the process that feeds the model gets tokens from another one.
    """
    encoder = DenseEncoder.from_pretrained(model, device=device, passage_length=length)
    free = encoder._remade(query_tower=Free(encoder.dimension, encoder.device), passage_tower=None)
    some = list(itertools.islice(dataset.usable_documents(), documents))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = DocumentStore.build(some, folder / "store")
        with on_one_core(), contextlib.ExitStack() as stack:
            alone = alternate(_stages(free, some, store, folder, stack), rounds, time.process_time)
        together = {_by(workers): lambda: index_corpus(folder / "x.ance", free, store, FirstP(), overwrite=True, workers=workers)}
        by_clock = alternate(together, rounds)
    per_core, clocked = ({name: len(some) / one for name, one in medians(seconds).items()} for seconds in (alone, by_clock))
    rows = [{"stage": name, "passages/s of a core": one, "÷ library": ratio(alone, LIBRARY, name)} for name, one in per_core.items()]
    return pd.DataFrame([*rows, *({"stage": name, "passages/s": one} for name, one in clocked.items())])


def _stages(
    free: DenseEncoder, documents: Sequence[Document], store: DocumentStore, folder: Path, stack: contextlib.ExitStack
) -> dict[str, Callable[[], object]]:
    """What each stage that one process does makes of all documents; another process, which ends with the stack, only sends tokens."""
    cut = Cutting(store=store, tokenizer=free.tokenizer, passages=FirstP())
    pieces = list(cut.pieces(np.arange(len(store))))
    texts = [[_clean(free.tokenizer, free.settings.join(store[number])) for number in piece.tolist()] for piece in pieces]
    library = free.tokenizer.tokenizer.backend_tokenizer
    sending = stack.enter_context(Workers(_Sending([*map(cut, pieces)]), 1))
    vectors_PD = np.ones((len(store), free.dimension), dtype=np.float32)
    return {
        "documents to disk": lambda: DocumentStore.build(documents, folder / "again"),
        "reading": lambda: _exhaust([free.settings.join(store[number]) for number in piece.tolist()] for piece in pieces),
        LIBRARY: lambda: _exhaust(library.encode_batch_fast(piece, add_special_tokens=False) for piece in texts),
        TOKENISING: lambda: _exhaust(pickle.dumps(cut(piece)) for piece in pieces),
        FEEDING: lambda: _exhaust(free.encode_tokens(sending.tokenized(range(len(pieces)), free.device))),
        "vectors to disk": lambda: _write(vectors_PD, folder / "vectors.npy"),
    }


def _clean(tokenizer: TextTokenizer, text: Text) -> Text:
    """The text as the tokeniser gets it."""
    return tokenizer.clean(text) if isinstance(text, str) else (tokenizer.clean(text[0]), tokenizer.clean(text[1]))


def _exhaust(stream: Iterable[object]) -> None:
    for _ in stream:
        pass


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """While entered, the library does not spread texts over cores."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ.update({} if before is None else {name: before})


def _write(vectors_PD: np.ndarray, path: Path) -> None:
    """As the encoding of a corpus does: in blocks, checked, with a checksum of the file."""
    with growing_array(path, vectors_PD.shape[1], vectors_PD.dtype) as append:
        for block_PD in np.array_split(vectors_PD, range(_BLOCK, len(vectors_PD), _BLOCK)):
            append(checked_vectors(block_PD, block_PD.dtype, str)[0])
    Shard.of(path, len(vectors_PD))


_BLOCK = 4096


def _by(workers: int) -> str:
    by = f"{workers} processes tokenise" if workers > 1 else "1 process tokenises" if workers else "a thread tokenises"
    return f"all but documents to disk, {by}"
