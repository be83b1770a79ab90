"""How unit costs are measured: the least time of several runs, and two costs out of two works."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ance_ir.datasets import Dataset, DocumentStore, load_dataset
from ance_ir.files import atomic_open

_ROUNDS = 2

Clock = Callable[[], float]
Found = dict[str, tuple[float, float]]
"""Seconds and bytes of one unit, by the names of costs."""


class Stopwatch:
    """The least time of several runs, since other work on the machine only adds.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, run: Callable[..., Any], *arguments: Any, **options: Any) -> float:
        """Seconds of a call."""
        return min(self._once(run, arguments, options) for _ in range(_ROUNDS))

    def _once(self, run: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> float:
        began = self._clock()
        run(*arguments, **options)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self._clock() - began


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Documents of one length.

    Attributes:
        texts: of the documents.
        lengths: of each, tokens without special ones.
        dataset: the documents as people have them, in JSON lines.
        store: as this package keeps them.
    """

    texts: Sequence[str]
    lengths: Sequence[int]
    dataset: Dataset
    store: DocumentStore

    @classmethod
    def written(cls, texts: Sequence[str], lengths: Sequence[int], folder: Path) -> Texts:
        """Documents, once they are on disk."""
        path = folder / f"{len(texts)}-{lengths[0]}"
        path.mkdir(exist_ok=True)
        with atomic_open(path / "corpus.jsonl") as stream:
            stream.writelines(json.dumps({"docno": f"d{number}", "text": text}) + "\n" for number, text in enumerate(texts))
        dataset = load_dataset(path)
        return cls(texts=texts, lengths=lengths, dataset=dataset, store=DocumentStore.build(dataset.usable_documents(), path / "store"))

    def first(self, count: int, folder: Path) -> Texts:
        """So many of them."""
        return self.written(self.texts[:count], self.lengths[:count], folder)


def two_costs(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Costs a and b of two kinds of units, none below 0, from two works: x units of one kind and y of the other took t = a·x + b·y.

    Args:
        first: x, y and t.
        second: likewise, with more y for an x; where there are none of the second kind, they cost nothing.
    """
    (x1, y1, t1), (x2, y2, t2) = first, second
    apart = y2 * x1 - y1 * x2
    b = max(0.0, (t2 * x1 - t1 * x2) / apart) if apart else 0.0
    return max(0.0, (t1 - b * y1) / x1), b
