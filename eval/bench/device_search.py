"""Exact search on a GPU compared with torch's own product and selection over vectors that are there already.

Shapes: N vectors, Q queries, D dimensions, K hits.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir.eval.bench.rounds import alternate_short, medians, ratio
from ance_ir.eval.bench.search import Search
from ance_ir.indexes.search.device import DeviceSearcher
from ance_ir.indexes.search.device_vectors import DeviceVectors
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.store.vectors import VectorStore, VectorType, VectorWriter

HELD, SENT, TORCH = "held", "sent", "torch"
_TYPES: tuple[VectorType, ...] = ("float32", "float16")
_CHECKED = 8
_COPIED = 64 << 20


def bench_device_search(
    device: str | torch.device,
    *,
    vectors: int = 1_000_000,
    dimension: int = 768,
    queries: Sequence[int] = (1, 16, 1000),
    depths: Sequence[int] = (10, 100, 1000),
    rounds: int = 3,
    seed: int = 42,
    verbose: bool = False,
) -> pd.DataFrame:
    """Random vectors that stay on a device, or are sent to it for each search, beside a product and ``topk`` of torch's.

    torch multiplies float16 vectors with float16 queries, and ours with float32 ones.

    Returns:
        A row for each type of vectors, number of queries and depth k: median milliseconds; ``held ÷ torch``, of which the bar is 1.5;
        ``sent ÷ bus``, the bytes that were sent a second, as a share of what one copy of pinned memory reaches, of which the bar is .8;
        ``as on a CPU``, the share of the first queries' hits that are in the place that they have there. Ratios are medians of the rounds.
    """
    rows = []
    bus = _bytes_a_second(torch.device(device))
    with tqdm(total=len(_TYPES) * len(queries) * len(depths), desc="search", unit=" settings", disable=not verbose) as bar:
        for dtype in _TYPES:
            with tempfile.TemporaryDirectory() as folder:
                store = _random_store(Path(folder), dtype, vectors, dimension, seed)
                searches = _contenders(store, device)
                asked_QD = np.random.default_rng(seed + 1).standard_normal((max(queries), dimension), dtype=np.float32)
                on_cpu_QK = ExactSearcher(store, lambda rows: rows).search(asked_QD[:_CHECKED], max(depths))[1]
                for count, k in itertools.product(queries, depths):
                    found_QK = searches[HELD](asked_QD[:count], k)
                    expected_QK = on_cpu_QK[:count, :k]
                    seconds = alternate_short({name: partial(search, asked_QD[:count], k) for name, search in searches.items()}, rounds)
                    rows.append(
                        {
                            "type": dtype,
                            "queries": count,
                            "k": k,
                            **{name: median * 1000 for name, median in medians(seconds).items()},
                            "held ÷ torch": ratio(seconds, HELD, TORCH),
                            "sent ÷ bus": len(store) * dimension * store.dtype.itemsize / medians(seconds)[SENT] / bus,
                            "as on a CPU": float(np.mean(found_QK[: len(expected_QK)] == expected_QK)),
                        }
                    )
                    bar.update()
    return pd.DataFrame(rows)


def _random_store(folder: Path, dtype: VectorType, vectors: int, dimension: int, seed: int) -> VectorStore:
    writer, generator = VectorWriter(folder, dtype), np.random.default_rng(seed)
    for start in range(0, vectors, 1 << 16):
        writer.append(generator.standard_normal((min(1 << 16, vectors - start), dimension), dtype=np.float32))
    return VectorStore(folder, writer.finish())


def _contenders(store: VectorStore, device: str | torch.device) -> dict[str, Search]:
    held = DeviceVectors(store, device, hold=True)
    held_ND = torch.cat([part_ND.to(device) for _, part_ND in held.resident])

    def ours(vectors: DeviceVectors) -> Search:
        searcher = DeviceSearcher(vectors, lambda rows: rows)
        return lambda queries_QD, k: searcher.search(queries_QD, k)[1]

    def search_torch(queries_QD: np.ndarray, k: int) -> np.ndarray:
        asked_QD = torch.from_numpy(queries_QD).to(held_ND.device, held_ND.dtype)
        found: np.ndarray = torch.topk(asked_QD @ held_ND.T, k, dim=1).indices.cpu().numpy()
        return found

    return {HELD: ours(held), SENT: ours(DeviceVectors(store, device, hold=False)), TORCH: search_torch}


def _bytes_a_second(device: torch.device) -> float:
    """Of one large copy from pinned memory."""
    pinned = torch.zeros(_COPIED, dtype=torch.uint8, pin_memory=device.type == "cuda")
    there = torch.empty(_COPIED, dtype=torch.uint8, device=device)
    return _COPIED / medians(alternate_short({"copy": lambda: there.copy_(pinned, non_blocking=True)}, 3))["copy"]
