"""Exact search over vectors that stay on the card, and over vectors that are sent to it."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.bench.device_search import HELD, SENT, bench_device_search
from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu.place import Place

_HELD, _SENT = 1.5, 0.8


def measured(place: Place) -> Iterator[Figure]:
    """Milliseconds of a search for each type of vectors and number of queries; see ``bench_device_search``."""
    count, dimension = place.size(1_000_000, 1500), place.size(768, 8)
    queries, depths = ((1, 4), (10,)) if place.small else ((1, 16, 1000), (10, 100, 1000))
    found = bench_device_search(place.device, vectors=count, dimension=dimension, queries=queries, depths=depths, rounds=1)
    for row in found.to_dict("records"):
        case = f"{count:,} × {dimension}, {row['type']}, {row['queries']:,} queries, k {row['k']:,}"
        yield Figure(table="search", case=case, what="held, ms", value=row[HELD], ratio=row["held ÷ torch"], to="torch's", most=_HELD)
        yield Figure(table="search", case=case, what="sent, ms", value=row[SENT], ratio=row["sent ÷ bus"], to="the bus", least=_SENT)
        right = row["as on a CPU"]
        yield Figure(table="search", case=case, what="as on a CPU", value=right, ratio=right, to="all", least=1.0)
