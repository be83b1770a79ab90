"""Encoding in bfloat16: from texts, from token ids, tokenising alone, and by a plain loop."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu.material import encoder, texts
from ance_ir.eval.bench.gpu.place import Place
from ance_ir.eval.bench.gpu.plain import Plain
from ance_ir.eval.bench.ingest import on_one_core
from ance_ir.indexes import FirstP
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.batching import chunks
from ance_ir.models.dense.encoding import tokenized
from ance_ir.models.dense.size import Size
from ance_ir.models.dense.workers import Workers
from ance_ir.models.text.tokens import Tokens
from ance_ir.processes import usable_cpus

RAGGED = 0
"""A length that stands for texts of many lengths."""

_CASES = {  # texts, and the bar for the share of the card's rate
    ("base", 64): (30_000, None),
    ("base", 128): (20_000, 0.55),
    ("base", 512): (6_000, 0.55),
    ("base", RAGGED): (30_000, 0.5),
    ("MiniLM", 128): (40_000, 0.3),
    ("MiniLM", 512): (10_000, 0.3),
    ("MiniLM", RAGGED): (40_000, 0.3),
}
_OTHERS, _BATCHES = 2_000, (128, 512)
"""Texts for contenders that take their time, and the batches of the plain loop."""


def measured(place: Place) -> Iterator[Figure]:
    """A few figures for each model and length."""
    for (shape, length), (count, share) in _CASES.items():
        tokens = _lengths(place.size(count, 60), length)
        model = encoder(shape, place.device, max(tokens), small=place.small)
        some = texts(tokens, small=place.small)
        yield from _of_case(place, f"{shape}, {length or 'ragged'}", model, some, share)


def _lengths(count: int, length: int) -> list[int]:
    """All the same, or log-normal with a median of 55 tokens."""
    if length != RAGGED:
        return [length] * count
    drawn = np.random.default_rng(0).lognormal(np.log(55), 0.8, count)
    return [int(tokens) for tokens in drawn.clip(3, 512)]


def _of_case(place: Place, case: str, model: DenseEncoder, some: Sequence[str], share: float | None) -> Iterator[Figure]:
    store = DocumentStore.build(({"docno": str(number), "text": text} for number, text in enumerate(some)), place.folder / case)
    cut = Cutting(store=store, tokenizer=model.tokenizer, passages=FirstP())
    pieces, cores = list(cut.pieces(np.arange(len(store)))), usable_cpus()
    with contextlib.ExitStack() as stack:
        workers = None if place.small else stack.enter_context(Workers(cut, cores))

        def made() -> Generator[Tokens]:
            return tokenized(pieces, cut, place.device) if workers is None else workers.tokenized(pieces, place.device)

        tokens = list(made())
        tokenising = len(store) / place.seconds(lambda: _exhaust(made()), 1, warm=True)
        from_ids = len(store) / place.seconds(lambda: _exhaust(model.encode_tokens(_stream(tokens))), 1)
        from_text = len(store) / place.seconds(lambda: _exhaust(model.encode_tokens(made())), 1)
    library = _library(model, some[:_OTHERS], place)
    lengths = np.concatenate([piece.lengths_P for piece in tokens]).tolist()
    of_rate = from_ids * Size.of(model.passage_tower).operations(lengths) / len(store) / place.rates["bfloat16"]
    figure = partial(Figure, table="encoding", case=case)
    least = min(from_ids, tokenising)
    yield figure(what="from text, texts/s", value=from_text, ratio=from_text / least, to="the slower of the next two", least=0.9)
    yield figure(what="from ids, texts/s", value=from_ids, ratio=of_rate, to="the card's bfloat16 rate", least=share)
    to = f"{cores} × encode_batch_fast on a core"
    yield figure(what="tokenising, texts/s", value=tokenising, ratio=tokenising / (cores * library), to=to, least=0.8)
    plain, few = Plain(model), some[:_OTHERS]
    for batch in _BATCHES:
        theirs = len(few) / place.seconds(partial(plain.encode, few, model.settings.passage_length, batch), 1)
        yield figure(what=f"the plain loop, batches of {batch}, texts/s", value=theirs, ratio=from_text / theirs, to="ours to it")


def _stream(tokens: Sequence[Tokens]) -> Generator[Tokens]:
    yield from tokens


def _exhaust(stream: Iterable[object]) -> None:
    for _ in stream:
        pass


def _library(model: DenseEncoder, some: Sequence[str], place: Place) -> float:
    """Texts a second of the tokeniser library on a core."""
    library, pieces = model.tokenizer.tokenizer.backend_tokenizer, list(chunks(some, 128))
    with on_one_core():
        return len(some) / place.seconds(lambda: [library.encode_batch_fast(piece) for piece in pieces], 1, warm=True)
