"""From a family to what Faiss builds for a corpus of N vectors."""

from __future__ import annotations

from dataclasses import dataclass

from ance_ir.errors import UsageError
from ance_ir.indexes.ann.parts._part import KINDS, Corpus
from ance_ir.indexes.ann.settings import PARTS, FaissSettings

TRAINING_BYTES = 1 << 30
"""Size of a training sample, at most."""

PER_LIST = 64
"""Training vectors a list, and of 256 centroids in all families; Faiss asks for 39 and takes 256 at most."""

_AT_LEAST = 256 * 256


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How Faiss builds an index.

    Attributes:
        factory: for Faiss's ``index_factory``.
        first: how many of the first dimensions of the vectors Faiss sees; ``None``: all dimensions.
        normalize: whether what remains of them is scaled to length 1, as the whole vectors are.
    """

    factory: str
    first: int | None = None
    normalize: bool = False


def recipe_of(settings: FaissSettings, rows: int, dimension: int, *, unit: bool = False) -> Recipe:
    """The recipe of a family for a corpus.

    Args:
        settings: the family.
        rows: vectors of the corpus.
        dimension: of the vectors.
        unit: whether they have length 1, as a cosine model's; then they are normalised again after the first dimensions are taken, as they
            were in training.

    Raises:
        UsageError: a number of the family does not go with the dimension.
    """
    if settings.factory is not None:
        return Recipe(factory=settings.factory)
    kept = next((number for name, number in settings.parts.items() if PARTS[name].kind == "dimensions"), None) or dimension
    if kept > dimension:
        raise UsageError(f"{settings.family}: the vectors have {dimension} dimensions")
    corpus = Corpus(rows=rows, kept=kept, sample=training_rows(rows, dimension, lists=rows))
    words = {"rotation": "".join(PARTS[name].rotation(corpus) for name in settings.parts)}
    try:
        words |= {PARTS[name].kind: PARTS[name].factory(corpus, number) for name, number in settings.parts.items()}
    except UsageError as error:
        raise UsageError(f"{settings.family}: {error}") from None
    first = kept if words.get("dimensions") == "" else None
    factory = ",".join(words[kind] for kind in KINDS if words.get(kind))
    return Recipe(factory=factory, first=first, normalize=unit and first is not None)


def training_rows(rows: int, dimension: int, lists: int) -> int:
    """How many of the rows train an index with so many lists: 65,536, or 64 a list, and no more than 1 GiB of float32."""
    return min(rows, max(_AT_LEAST, PER_LIST * lists), TRAINING_BYTES // (4 * dimension))
