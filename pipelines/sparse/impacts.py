"""Quantised weights: whole numbers of a step, which PISA multiplies and adds without rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_EXACT = (1 << 24) - 1
"""Up to this every whole number is a float32."""

_QUERY_LEVELS = 255


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How the weights of documents become whole numbers, 0 up to the levels that bits have.

    Attributes:
        bits: of the largest number.
        largest: weight, which becomes the largest number.
    """

    bits: int
    largest: float

    @property
    def levels(self) -> int:
        """The largest number."""
        return (1 << self.bits) - 1

    @property
    def step(self) -> float:
        """The weight that each unit stands for."""
        return self.largest / self.levels

    def of_documents(self, weights: csr_array) -> csr_array:
        """The numbers of documents' weights, rounded to the nearest, uint32; those that are 0 are left out."""
        impacts = np.rint(weights.data / np.float64(self.step)).astype(np.uint32)
        numbers = csr_array((impacts, weights.indices, weights.indptr), shape=weights.shape, copy=True)
        numbers.eliminate_zeros()
        return numbers

    def of_queries(self, weights: csr_array) -> tuple[csr_array, np.ndarray]:
        """The numbers of queries' weights, uint32, and each query's step, float64 ``[len(weights)]``, 0 where it has no weights.

        A query's largest weight becomes 255, or less where its score of a document could then be beyond the whole numbers of float32.
        """
        row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
        largest, total = np.zeros(weights.shape[0]), np.bincount(row, weights.data, weights.shape[0])
        np.maximum.at(largest, row, weights.data)
        fine, coarse = largest / _QUERY_LEVELS, total / (_EXACT // self.levels)
        steps = np.maximum(fine, coarse)
        nearest = np.where(fine >= coarse, 0.5, 0)  # else rounded down, so that the sum stays within its bound
        impacts = np.floor(weights.data / steps[row] + nearest[row]).astype(np.uint32)
        numbers = csr_array((impacts, weights.indices, weights.indptr), shape=weights.shape, copy=True)
        numbers.eliminate_zeros()
        return numbers, steps
