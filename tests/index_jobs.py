"""What processes do to an index while tests look at it, or kill them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.indexes import AnceIndex

GROUP = 5
DIMENSION = 4


def group(number: int) -> list[dict[str, Any]]:
    """Documents that are added and deleted together; their vectors tell them apart."""
    rows = []
    for place in range(GROUP):
        vector = np.random.default_rng([number, place]).normal(size=DIMENSION).astype(np.float32)
        rows.append({"docno": f"{number}-{place}", "doc_vec": vector})
    return rows


def docnos(number: int) -> list[str]:
    """Those of a group."""
    return [row["docno"] for row in group(number)]


def add_groups(folder: Path, first: int, count: int) -> None:
    """Add groups, one after the other."""
    for number in range(first, first + count):
        AnceIndex(folder).add(group(number))


def change_at_random(folder: Path, seed: int, changes: int) -> None:
    """Add, delete and replace whole groups, and compact."""
    choose = random.Random(seed)
    for _ in range(changes):
        index = AnceIndex(folder)
        there = sorted({int(docno.partition("-")[0]) for docno in live(index)})
        free = [number for number in range(40) if number not in there]
        kind = choose.choice(["add", "add", "delete", "replace", "compact"])
        if kind == "add" and free:
            index.add(group(choose.choice(free)))
        elif kind in {"add", "delete"} and len(there) > 2:
            index.delete(docnos(choose.choice(there)))
        elif kind == "replace":
            index.add(group(choose.choice(there)), replace=True)
        elif kind == "compact":
            index.compact()


def live(index: AnceIndex) -> list[str]:
    """The docnos that a search for everything finds."""
    if not len(index):
        return []
    _, numbers = index.search_vectors(np.ones((1, DIMENSION), dtype=np.float32), 10_000)
    return index.docnos(numbers[0]).tolist()


def is_whole(index: AnceIndex) -> bool:
    """Whether an index holds groups whole or not at all, with the right vectors."""
    found = live(index)
    groups = {int(docno.partition("-")[0]) for docno in found}
    rows = [row for number in groups for row in group(number)]
    if sorted(found) != sorted(row["docno"] for row in rows):
        return False
    first, _ = index.table.rows(index.numbers([row["docno"] for row in rows]))
    return bool((index.store.get(first) == np.stack([row["doc_vec"] for row in rows])).all())
