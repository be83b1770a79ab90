"""Documents of the whole corpus, drawn uniformly."""

from __future__ import annotations

import numpy as np

from ance_ir.errors import TrainingError
from ance_ir.training.negatives.source import Draw, NegativeSource, choose
from ance_ir.training.queries import TrainingQueries


class RandomNegatives(NegativeSource):
    """Uniform draws from the whole corpus of a query, or from all that may be drawn for a query.

    Raises:
        TrainingError: a query excludes every document.
    """

    name = "random"

    def __init__(self, queries: TrainingQueries) -> None:
        self._queries = queries
        for query, (qid, excluded) in enumerate(zip(queries.qids, queries.excluded, strict=True)):
            if len(excluded) >= (total := len(queries.corpus_of(query))):
                raise TrainingError(f"query {qid!r}: all {total} documents of the corpus are relevant, none is left as a negative")

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        return np.stack([self._draw(query, count, generator) for query in queries.tolist()])

    def _draw(self, query: int, count: int, generator: np.random.Generator) -> np.ndarray:
        if self._queries.candidates is not None:
            found: np.ndarray = self._queries.candidates[query]
            return np.asarray(found[choose(len(found), count, generator)])
        # a draw from the documents that are not excluded, as if they were numbered without gaps
        corpus = self._queries.corpus_of(query)
        excluded = self._queries.excluded[query] - corpus.start
        free = len(corpus) - len(excluded)
        drawn = choose(free, count, generator)
        gaps = excluded - np.arange(len(excluded))
        return corpus.start + drawn + np.searchsorted(gaps, drawn, side="right")


def make(queries: TrainingQueries, draw: Draw, temperature: float) -> RandomNegatives:
    """The source named ``random``."""
    return RandomNegatives(queries)
