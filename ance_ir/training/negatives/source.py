"""What a source of negatives is.

Drawing depends on nothing but the generator that is passed, so the same seed and step give the same negatives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from ance_ir.training.refresh.mined import MinedNegatives

InBatch = Literal["none", "all", "hardest"]
"""Which documents of a batch, in addition to those drawn, are a query's negatives: none, all (DPR), or the highest-scoring one (NCE)."""

Draw = Literal["uniform", "top", "score"]
"""How negatives are drawn from a query's candidates: uniformly (the paper), its first ones, or by the softmax of their scores."""


class NegativeSchedule(ABC):
    """The source that each step draws its negatives from.

    Attributes:
        name: for progress bars, tables and the run's manifest.
    """

    name: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else decides which negatives are drawn; part of the run's manifest."""
        return {}

    @abstractmethod
    def at(self, step: int) -> NegativeSource:
        """The source that a step draws from."""

    def use(self, mined: MinedNegatives) -> None:  # noqa: B027 (most draw no mined ones)
        """Draw from these from now on; sources that draw no mined negatives ignore them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class NegativeSource(NegativeSchedule):
    """Draws negatives for training queries, never one of a query's excluded documents; the same source at every step.

    What is excluded is decided once, by ``TrainingQueries.load``: a query's positives and documents with their text. Each source keeps to
    it: those of a ranking drop these documents when they are made, random ones draw again, mining leaves them out
    (``ance_ir.indexes.mining.allowed``), and negatives in the batch are masked (``ance_ir.training.objectives.scoring``).

    Attributes:
        in_batch: which of a batch's documents are negatives in addition to those that are drawn.
        draws: whether any are drawn; otherwise the batch's documents are the only negatives.
        mines: whether it draws from what a refresh mined, and needs one first.
    """

    in_batch: InBatch = "none"
    draws = True
    mines = False

    def at(self, step: int) -> NegativeSource:
        """Itself."""
        return self

    @abstractmethod
    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """Negatives of queries.

        Args:
            queries: their numbers, int64 ``[B]``.
            count: how many for each query; different ones as long as one source has enough.
            generator: the only source of randomness.

        Returns:
            Document numbers, int64 ``[B, count]``.
        """


def choose(total: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` of the numbers below ``total``, different ones as long as there are so many."""
    if count <= total:
        return generator.choice(total, size=count, replace=False, shuffle=True)
    return generator.integers(total, size=count)


def draw_places(scores_K: np.ndarray, count: int, draw: Draw, temperature: float, generator: np.random.Generator) -> np.ndarray:
    """Which of K candidates are drawn: their places, int64 ``[count]``.

    Args:
        scores_K: of the candidates, which are sorted by them.
        count: at most K of them are different.
        draw: see ``Draw``.
        temperature: scores are divided by it in the softmax.
        generator: the only source of randomness.
    """
    if draw == "top" and count <= len(scores_K):
        return np.arange(count)
    if draw == "score" and count <= len(scores_K):  # without replacement: the largest after adding Gumbel noise
        noisy_K = scores_K / temperature + generator.gumbel(size=len(scores_K))
        places: np.ndarray = np.argsort(-noisy_K, kind="stable")[:count]
        return places
    return choose(len(scores_K), count, generator)
