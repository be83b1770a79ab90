"""From a family to an empty Faiss index for a corpus, and what the layers of a Faiss index have in common.

Numbers that the family leaves out, for N vectors of D dimensions (d of them kept)::

    LISTS   4·√N, and at least 39 training vectors for each
    LINKS   32
    BYTES   d/4, rounded down to a divisor of d; codes are of 8 bits (fewer where N < 256)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from ance_ir.errors import IndexingError, UsageError
from ance_ir.indexes.ann.settings import EF_CONSTRUCTION, FaissSettings

TRAINING_BYTES = 1 << 30
"""What a training sample takes, at most."""

PER_LIST = 64
"""Training vectors a list, and of 256 centroids in all families; Faiss asks for 39 and takes 256 at most."""

_LEAST_PER_LIST = 39
_AT_LEAST = 256 * 256
_LINKS = 32
_ITERATIONS = 10
_ROTATION_SAMPLE = 1 << 14
_LONGEST = 1000
"""Characters of a factory string; Faiss matches patterns by recursion, and tens of thousands end the process."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What Faiss is told.

    Attributes:
        factory: for its ``index_factory``.
        first: so many of the first dimensions are all that it sees of the vectors; ``None``: all dimensions.
        normalize: what is left after that cut is scaled to length 1, as the whole vectors are.
    """

    factory: str
    first: int | None = None
    normalize: bool = False


def recipe_of(settings: FaissSettings, rows: int, dimension: int, *, unit: bool = False) -> Recipe:
    """The recipe of a family for a corpus of so many vectors.

    Args:
        settings: the family.
        rows: vectors of the corpus.
        dimension: of the vectors.
        unit: whether they have length 1, as a cosine model's; what is cut off them is then made up for, as it was in training.

    Raises:
        UsageError: a number of the family does not go with the dimension.
    """
    if settings.factory is not None:
        return Recipe(factory=settings.factory)
    parts = settings.parts
    kept = parts.get("pca") or parts.get("matryoshka") or dimension
    if kept > dimension:
        raise UsageError(f"{settings.family}: the vectors have {dimension} dimensions")
    words = [f"PCA{kept}"] if "pca" in parts else []
    sample = training_rows(rows, dimension, lists=rows)
    storage = "SQfp16" if "fp16" in parts else "SQ8" if "sq8" in parts else "Flat"
    if "opq" in parts or "pq" in parts:
        size = parts.get("opq") or parts.get("pq") or _largest_divisor(kept)
        if kept % size:
            raise UsageError(f"{settings.family}: {size} bytes do not divide {kept} dimensions; {_largest_divisor(kept)} do")
        words += [f"OPQ{size}"] if "opq" in parts else []
        bits = min(8, int(math.log2(max(2, sample))))
        storage = f"PQ{size}" if bits == 8 else f"PQ{size}x{bits}"
    if "ivf" in parts:
        words.append(f"IVF{parts['ivf'] or max(1, min(round(4 * math.sqrt(rows)), sample // _LEAST_PER_LIST))}")
    if "hnsw" in parts:
        words.append(f"HNSW{parts['hnsw'] or _LINKS}")
    first = parts.get("matryoshka")
    return Recipe(factory=",".join([*words, storage]), first=first, normalize=unit and first is not None)


def training_rows(rows: int, dimension: int, lists: int) -> int:
    """How many of the rows train an index with so many lists: 65,536, or 64 a list, and no more than 1 GiB of float32."""
    return min(rows, max(_AT_LEAST, PER_LIST * lists), TRAINING_BYTES // (4 * dimension))


def empty_index(recipe: Recipe, dimension: int, settings: FaissSettings) -> Any:
    """A Faiss index, neither trained nor filled, for vectors of a dimension.

    Raises:
        UsageError: Faiss does not know the factory string, or not for inner products, or it is far too long for one.
    """
    if len(recipe.factory) > _LONGEST:
        raise UsageError(f"a factory string of at most {_LONGEST} characters was expected, not of {len(recipe.factory)}")
    try:
        index = faiss.index_factory(recipe.first or dimension, recipe.factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise UsageError(f"{settings.family}: Faiss makes no index for inner products of {recipe.factory!r} ({_reason(error)})") from error
    if recipe.first is not None:
        if recipe.normalize:
            index = faiss.IndexPreTransform(faiss.NormalizationTransform(recipe.first), index)
        index = faiss.IndexPreTransform(faiss.RemapDimensionsTransform(dimension, recipe.first, False), index)
    for layer in layers(index):
        if layer.metric_type != faiss.METRIC_INNER_PRODUCT or isinstance(layer, faiss.IndexIDMap):
            raise UsageError(f"{settings.family}: {type(layer).__name__} does not compare rows by inner products")
        if hasattr(layer, "hnsw"):
            layer.hnsw.efConstruction = settings.ef_construction or EF_CONSTRUCTION
    return index


def layers(index: Any) -> Iterator[Any]:
    """An index, and the indexes that it hands queries on to."""
    layer = faiss.downcast_index(index)
    yield layer
    if hasattr(layer, "chain"):
        yield from layers(layer.index)
    elif hasattr(layer, "base_index"):
        yield from layers(layer.base_index)


def train(index: Any, sample: np.ndarray, recipe: Recipe) -> None:
    """Train an index on vectors, float32 ``[n, D]``.

    Raises:
        IndexingError: they are too few.
    """
    kept = [_prepare_training(layer) for layer in layers(index)]
    try:
        _train_transforms(index, sample)
        index.train(sample)
    except RuntimeError as error:
        raise IndexingError(
            f"Faiss cannot train {recipe.factory} on {len(sample):,} vectors ({_reason(error)}); choose fewer lists, bytes or dimensions"
        ) from error
    finally:
        del kept


def _prepare_training(layer: Any) -> list[Any]:
    """Set what the factory string cannot say; the quantisers that train rotations, to which Faiss holds no more than pointers."""
    if hasattr(layer, "do_polysemous_training"):
        layer.do_polysemous_training = False  # most of the training time, for a search that nobody asks for
    if hasattr(layer, "cp"):
        layer.cp.min_points_per_centroid = 1  # a sample that is the corpus needs no warning
    if hasattr(layer, "pq"):
        _prepare_quantizer(layer.pq)
    return [_prepare_rotation(transform, layer) for transform in _transforms(layer) if isinstance(transform, faiss.OPQMatrix)]


def _train_transforms(index: Any, sample: np.ndarray) -> None:
    for layer in layers(index):
        for transform in _transforms(layer):
            if isinstance(transform, faiss.OPQMatrix) and len(sample) < transform.d_out:  # Faiss would write past its memory
                raise IndexingError(f"a rotation of {transform.d_out} dimensions needs as many vectors to train on, not {len(sample)}")
            if not transform.is_trained:
                transform.train(sample)
            if isinstance(transform, faiss.PCAMatrix):
                # with the mean taken off queries too, inner products would change by other amounts for each document
                transform.have_bias = False
            sample = transform.apply(sample)


def _transforms(layer: Any) -> list[Any]:
    """What a layer does to vectors before it hands them on."""
    return [faiss.downcast_VectorTransform(layer.chain.at(place)) for place in range(layer.chain.size())] if hasattr(layer, "chain") else []


def _prepare_quantizer(quantizer: Any) -> None:
    quantizer.cp.min_points_per_centroid = 1
    quantizer.cp.niter = _ITERATIONS  # of Faiss's 25; the error is 1 % larger


def _prepare_rotation(rotation: Any, layer: Any) -> Any:
    """A tenth of the work that Faiss does by default, with codes of as many bits as the index below has; the quantiser for it."""
    rotation.niter = rotation.niter_pq_0 = _ITERATIONS
    rotation.max_train_points = _ROTATION_SAMPLE
    bits = next((below.pq.nbits for below in layers(layer) if hasattr(below, "pq")), 8)
    quantizer = faiss.ProductQuantizer(rotation.d_out, rotation.M, bits)
    _prepare_quantizer(quantizer)
    rotation.pq = quantizer
    quantizer.thisown = True  # SWIG gave it away; the rotation would never free it
    return quantizer


def _largest_divisor(dimension: int) -> int:
    """Bytes of product quantisation: the largest divisor up to a quarter of the dimensions."""
    return next(size for size in range(max(1, dimension // 4), 0, -1) if dimension % size == 0)


def _reason(error: RuntimeError) -> str:
    """The end of what Faiss says, which is the reason."""
    return str(error).rpartition("Error: ")[2].strip()
