"""What processes do to an index while tests look at it, or kill them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ance_ir.indexes import AnceIndex, FirstP, SlidingWindow, index_documents
from ance_ir.indexes.store import corpus
from ance_ir.models import PassageScheme
from ance_ir.models.dense import encoding
from tests.tiny import WORDS, encoder

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
    return bool((index.vectors.get(first) == np.stack([row["doc_vec"] for row in rows])).all())


def large_streams() -> dict[str, tuple[Iterator[dict[str, Any]], PassageScheme]]:
    """Two corpora of 200 MiB: one of many passages' vectors, one of much text; neither is held by who makes it."""
    words = " ".join(random.Random(0).choices(WORDS, k=1000))
    return {
        "passages": (({"docno": str(number), "text": words} for number in range(36)), SlidingWindow(8, 1)),
        "text": (({"docno": str(number), "text": words * 16} for number in range(2700)), FirstP(8)),
    }


def index_in_little_memory(kind: str, folder: Path, told: Connection) -> None:
    """Index a large stream; tell how much memory that took, and how large the text and the vectors are, in MiB."""
    torch.set_num_threads(1)
    corpus.PARTS, corpus.MOST, encoding.WINDOW_TOKENS["cpu"] = 1, 1 << 40, 4096
    model = encoder(head=1536, text={"max_characters": 100})
    stream, scheme = large_streams()[kind]
    text, sizes, ended = 0, [], threading.Event()
    index_documents(folder / "warm", model, [{"docno": "a", "text": "a cat " * 2000}], scheme)

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal text
        for document in stream:
            text += len(document["text"])
            yield document

    def watch() -> None:
        while not ended.wait(0.005):
            sizes.append(_held())

    before = _held()
    watcher = threading.Thread(target=watch)
    watcher.start()
    index = index_documents(folder / "x", model, counted(), scheme)
    ended.set()
    watcher.join()
    vectors = sum((folder / "x" / shard.file).stat().st_size for shard in index.vectors.shards)
    told.send((max(sizes) - before, text / 2**20, vectors / 2**20, len(index.vectors.shards)))


def _held() -> float:
    """MiB of memory that this process holds, files that are mapped not counted."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024
