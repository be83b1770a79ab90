"""A graph of neighbours (HNSW), by default with 32 links a vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ance_ir.indexes.ann.parts._part import Request, Structure

_LEAST_HELD = 128
EF_CONSTRUCTION = 100

_DISTANCES = "Faiss compares pq codes in a graph by distance, not by inner product; use hnsw+sq8 or ivf+pq"


def held_candidates(rows: int) -> int:
    """How many candidates a search of so many rows holds by default: enough for a recall@100 of .95, see docs/scale.md."""
    return max(_LEAST_HELD, round(9 * math.cbrt(rows)))


def _search(layer: Any, request: Request) -> Any:
    import faiss

    held = max(request.options.get("efSearch") or held_candidates(request.rows), request.count)
    if request.share < 1:  # rows that may not be found take places among those that are held
        held = min(math.ceil(held / max(request.share, 1e-9)), request.rows)
    return faiss.SearchParametersHNSW(efSearch=held, **request.selecting)


def _prepare(layer: Any, options: Mapping[str, int]) -> None:
    layer.hnsw.efConstruction = options.get("efConstruction") or EF_CONSTRUCTION


PART = Structure(
    kind="structure",
    takes="LINKS",
    bounds=(2, 1024),  # with others Faiss fails
    rescored=0,
    factory=lambda corpus, number: f"HNSW{number or 32}",
    refuses={"opq": _DISTANCES, "pq": _DISTANCES},
    word="HNSW",
    attribute="hnsw",
    options=("efSearch", "efConstruction"),
    search=_search,
    prepare=_prepare,
)
