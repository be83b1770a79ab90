"""What is planned: a collection, a model, and what is to be done with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ance_ir.brief import Brief
from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.dense.size import Size
from ance_ir.workflows.planning.searching import check_planned

SIZES = {"minilm": (6, 384), "bert-base": (12, 768), "bert-large": (24, 1024)}
"""Layers and width of encoders that are known by name."""

SPECIAL = 2
"""Special tokens of a text."""

_VOCABULARY, _POSITIONS = 30_522, 512
"""Of BERT."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents, as some of them stand for all.

    Attributes:
        documents: how many.
        tokens: of a document, whole; the mean.
        lengths: tokens of the passages of those that stand for all, special ones included.
        sampled: how many these are.
    """

    documents: int
    tokens: float
    lengths: Sequence[int]
    sampled: int = 1

    @classmethod
    def of_mean(cls, documents: int, tokens: float, passages: PassageScheme, length: int) -> Corpus:
        """Documents that all have the mean length.

        Args:
            documents: how many.
            tokens: of a document.
            passages: how they are cut.
            length: most tokens of a passage, where the scheme does not say.
        """
        special = 0 if passages.special_once else SPECIAL
        cut = passages.windows(round(tokens) + SPECIAL - special, (passages.length or length) - special) or [(0, 0)]
        return cls(documents=documents, tokens=tokens, lengths=[end - start + special for start, end in cut])

    @property
    def passages(self) -> float:
        """How many there are."""
        return self.documents * len(self.lengths) / self.sampled

    def operations(self, size: Size) -> float:
        """Floating-point operations to encode it."""
        return self.documents * size.operations(self.lengths) / self.sampled


@dataclass(frozen=True, kw_only=True, repr=False)
class Job(Brief):
    """A collection, a model, and what is to be done with them.

    Attributes:
        corpus: the documents.
        size: of the encoder.
        dimension: of a vector.
        dtype: how vectors are stored.
        backend: what searches them, for evaluation: ``"exact"`` or a Faiss family of a graph or an inverted file.
        query_tokens: of a query.
        queries: training queries; 0: nothing is mined and trained.
        depth: candidates of a query.
        mining_backend: what searches for them, likewise; each refresh builds its file.
        refreshes: how often negatives are mined.
        steps: of training.
        batch_size: queries of a step.
        negatives: of a query, in a step.
        test_queries: to evaluate with.
        results: documents that are found for each of them.

    Raises:
        UsageError: a number is too small, or it is not known what building such a backend takes.
    """

    corpus: Corpus
    size: Size
    dimension: int
    dtype: str = "float32"
    backend: str = "exact"
    query_tokens: int = 12
    queries: int = 0
    depth: int = 200
    mining_backend: str = "exact"
    refreshes: int = 1
    steps: int = 0
    batch_size: int = 16
    negatives: int = 1
    test_queries: int = 1000
    results: int = 1000

    def __post_init__(self) -> None:
        check_choice("type of vectors", self.dtype, BYTES)
        least = {"dimension": 1, "query_tokens": 3, "batch_size": 1, "depth": 1, "results": 1}
        for name in ("dimension", "query_tokens", "queries", "depth", "refreshes", "steps", "batch_size", "negatives", "results"):
            if getattr(self, name) < least.get(name, 0):
                raise UsageError(f"{name} is at least {least.get(name, 0)}, not {getattr(self, name)}")
        for backend in (self.backend, self.mining_backend):
            check_planned(backend)


BYTES = {"float16": 2, "float32": 4}
"""Of a component of a stored vector."""


def find_size(name: str) -> Size:
    """The size of an encoder.

    Args:
        name: one of ``SIZES``; ``LAYERSxWIDTH``, of BERT's proportions; or a checkpoint, as ``DenseEncoder.from_pretrained`` opens it.

    Raises:
        ModelError: it is none of these.
    """
    if name in SIZES or re.fullmatch(r"[1-9]\d*x[1-9]\d*", name):
        layers, width = SIZES[name] if name in SIZES else map(int, name.split("x"))
        matrices = 12 * layers * width**2
        others = (_VOCABULARY + _POSITIONS + 4 + 13 * layers) * width
        return Size(layers=layers, width=width, matrices=matrices, weights=matrices + others)
    return Size.of(DenseEncoder.from_pretrained(name, device="cpu").passage_tower)
