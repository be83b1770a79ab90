"""The settings that tuning tries: families, each with several probes, candidates and depths of re-scoring."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ance_ir.indexes.ann.parts.hnsw import held_candidates
from ance_ir.indexes.ann.recipe import recipe_of
from ance_ir.indexes.ann.settings import FaissSettings, parse_backend

_FEW = 5000
"""With fewer vectors, only families are tried that need no lists and no codes of several dimensions."""

_FAMILIES = ("flat", "sq8", "ivf+sq8", "ivf+rabitq", "ivf", "hnsw+sq8", "hnsw", "opq+ivf")
"""The cheapest to build first."""

_FAMILIES_OF_FEW = ("flat", "sq8", "hnsw")
_SHARES = (64, 32, 16, 8, 4, 2)
_LEAST_HELD = 64
_DEPTHS = (0, 2, 5)


def trial_settings(rows: int, dimension: int, k: int, backends: Sequence[str] = ()) -> list[list[FaissSettings]]:
    """The settings to try, a list for each Faiss index that is built.

    Probed are a 64th, a 32nd … a half of the lists; graphs hold 64, 128 … candidates while searching, up to twice the default or more, and
    at least as many as they are to find; of what is lossy no rows, 2k and 5k are re-scored.

    Args:
        rows: vectors of the index.
        dimension: theirs.
        k: documents a query.
        backends: families to try, perhaps with options, which are then not varied; by default what suits the number of vectors.

    Raises:
        UsageError: a backend that is none.
    """
    found: dict[str, dict[FaissSettings, None]] = {}
    for backend in backends or (_FAMILIES if rows >= _FEW else _FAMILIES_OF_FEW):
        settings = parse_backend(backend)
        found.setdefault(settings.slug, {}).update(dict.fromkeys(_varied(settings, rows, dimension, k)))
    return [list(members) for members in found.values()]


def _varied(settings: FaissSettings, rows: int, dimension: int, k: int) -> Iterator[FaissSettings]:
    """The settings, with every option that is not set varied."""
    varied = settings.rescore is None and not settings.lossless
    for depth in [times * k for times in _DEPTHS] if varied else [settings.rescore]:
        deeper = replace(settings, rescore=depth)
        for nprobe in _probes(settings, rows, dimension):
            for ef_search in _held(settings, rows, max(k, deeper.rescored(k))):
                yield replace(deeper, nprobe=nprobe, ef_search=ef_search)


def _probes(settings: FaissSettings, rows: int, dimension: int) -> list[int | None]:
    if not settings.inverted or settings.nprobe is not None:
        return [settings.nprobe]
    lists = re.search(r"IVF(\d+)", recipe_of(settings, rows, dimension).factory)
    assert lists is not None
    return list(dict.fromkeys(max(1, int(lists[1]) // share) for share in _SHARES))


def _held(settings: FaissSettings, rows: int, fetched: int) -> list[int | None]:
    if not settings.graph or settings.ef_search is not None:
        return [settings.ef_search]
    doublings = range(math.ceil(math.log2(2 * held_candidates(rows) / _LEAST_HELD)) + 1)
    return list(dict.fromkeys(max(_LEAST_HELD << number, fetched) for number in doublings))
