"""Inner products of queries and a block of vectors, by the fastest method measured: see docs/benchmarks.md.

Shapes: Q queries, N rows of a block, D dimensions.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from ance_ir.float32 import exact_float32
from ance_ir.indexes.search.threads import deal, in_threads
from ance_ir.models.compute.packing import onednn

_NUMBERS_OF_THREAD = 1 << 21
"""Numbers of the vectors for which starting a thread pays."""


def inner_products(queries_QD: torch.Tensor, block_ND: torch.Tensor) -> torch.Tensor:
    """Float32 ``[Q, N]``, of float32 tensors on one device, even where TF32, bfloat16 or autocast are switched on.

    On a CPU torch hands products to MKL, which uses AVX-512 on Intel's processors alone; oneDNN uses it on all.
    """
    if queries_QD.device.type == "cpu" and len(queries_QD) == 1:
        return torch.from_numpy(_of_one_query(queries_QD[0].numpy(), block_ND.numpy())[None])
    kind = queries_QD.device.type
    with exact_float32(), torch.autocast(kind, enabled=False):
        if kind == "cpu" and onednn():
            scores_QN: torch.Tensor = torch.ops.mkldnn._linear_pointwise(queries_QD, block_ND, None, "none", [], "")
            return scores_QN
        return queries_QD @ block_ND.T


def _of_one_query(query_D: np.ndarray, block_ND: np.ndarray) -> np.ndarray:
    """Float32 ``[N]``. Memory is the limit: an inner product for each row, in as many threads as torch uses, reads it fastest.

    numpy's matrix product is as fast, but its threads keep spinning for a tenth of a second and slow down what follows.
    """
    scores_N = np.empty(len(block_ND), dtype=np.float32)

    def compute(part: slice) -> None:
        np.vecdot(block_ND[part], query_D, out=scores_N[part])

    count = max(1, min(torch.get_num_threads(), block_ND.size // _NUMBERS_OF_THREAD))
    in_threads([functools.partial(compute, part) for part in deal(0, len(block_ND), count)])
    return scores_N


def as_tensor(vectors: np.ndarray) -> torch.Tensor:
    """A tensor of the same memory, for reading only."""
    return torch.from_numpy(np.asarray(_Readable(vectors)))


class _Readable:
    """An array that says it may be written: torch warns of others, such as memory maps."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array  # is kept as long as what is made of it
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
