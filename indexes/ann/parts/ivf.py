"""An inverted file: only the lists nearest to the query are searched; by default 4·√N lists."""

from __future__ import annotations

import math
from typing import Any

from ance_ir.indexes.ann.parts._part import Corpus, Request, Structure

_LEAST_PROBES = 32

_LEAST_PER_LIST = 39
"""Training vectors a list that Faiss asks for."""


def _factory(corpus: Corpus, number: int | None) -> str:
    return f"IVF{number or max(1, min(round(4 * math.sqrt(corpus.rows)), corpus.sample // _LEAST_PER_LIST))}"


def probed_lists(lists: int) -> int:
    """How many lists a search visits by default: enough for a recall@100 of .95, see docs/scale.md."""
    return min(lists, max(_LEAST_PROBES, round(4 * math.sqrt(lists))))


def _search(layer: Any, request: Request) -> Any:
    import faiss

    probes = request.options.get("nprobe") or probed_lists(layer.nlist)
    return faiss.SearchParametersIVF(nprobe=min(probes, layer.nlist), **request.selecting)


PART = Structure(
    kind="structure",
    takes="LISTS",
    rescored=0,
    factory=_factory,
    word="IVF",
    attribute="nprobe",
    options=("nprobe",),
    search=_search,
)
