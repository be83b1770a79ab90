"""Faiss indexes, layer by layer: making them, and training them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from ance_ir.errors import IndexingError, UsageError
from ance_ir.indexes.ann.parts._part import Structure
from ance_ir.indexes.ann.recipe import Recipe
from ance_ir.indexes.ann.settings import FaissSettings, structures

_ITERATIONS = 10
_ROTATION_SAMPLE = 1 << 14
_LONGEST = 1000
"""Characters of a factory string; Faiss matches patterns by recursion, and tens of thousands end the process."""


def empty_index(recipe: Recipe, dimension: int, settings: FaissSettings) -> Any:
    """A Faiss index for vectors of a dimension, neither trained nor filled.

    Raises:
        UsageError: Faiss does not know the factory string, or has no such index for inner products, or the string is too long.
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
        if structure := structure_of(layer):
            structure.prepare(layer, settings.options)
    return index


def layers(index: Any) -> Iterator[Any]:
    """An index, and the indexes to which it passes queries on."""
    layer = faiss.downcast_index(index)
    yield layer
    if hasattr(layer, "chain"):
        yield from layers(layer.index)
    elif hasattr(layer, "base_index"):
        yield from layers(layer.base_index)


def structure_of(layer: Any) -> Structure | None:
    """The part of families that a layer is; ``None`` for a layer that is no structure."""
    return next((structure for structure in structures() if hasattr(layer, structure.attribute)), None)


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
    """Set what the factory string cannot say. Returned are the quantisers that train rotations, to which Faiss only holds pointers."""
    if hasattr(layer, "do_polysemous_training"):
        layer.do_polysemous_training = False  # most of the training time, for a kind of search that is not used
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
                # with the mean subtracted from queries too, inner products would change by other amounts for each document
                transform.have_bias = False
            sample = transform.apply(sample)


def _transforms(layer: Any) -> list[Any]:
    """What a layer does to vectors before it passes them on."""
    return [faiss.downcast_VectorTransform(layer.chain.at(place)) for place in range(layer.chain.size())] if hasattr(layer, "chain") else []


def _prepare_quantizer(quantizer: Any) -> None:
    quantizer.cp.min_points_per_centroid = 1
    quantizer.cp.niter = _ITERATIONS  # of Faiss's 25; the error is 1 % larger


def _prepare_rotation(rotation: Any, layer: Any) -> Any:
    """Set a tenth of the work that Faiss does by default, and codes of as many bits as the index below has; the quantiser for it."""
    rotation.niter = rotation.niter_pq_0 = _ITERATIONS
    rotation.max_train_points = _ROTATION_SAMPLE
    bits = next((below.pq.nbits for below in layers(layer) if hasattr(below, "pq")), 8)
    quantizer = faiss.ProductQuantizer(rotation.d_out, rotation.M, bits)
    _prepare_quantizer(quantizer)
    rotation.pq = quantizer
    quantizer.thisown = True  # SWIG gave it away; the rotation would never free it
    return quantizer


def _reason(error: RuntimeError) -> str:
    """The end of Faiss's message, which is the reason."""
    return str(error).rpartition("Error: ")[2].strip()
