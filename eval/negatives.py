"""Negatives by name, as the command line has them: ``random``, ``in-batch``, ``nce``, ``ance``, a run file, a system, and mixtures.

``2*bm25+random`` draws two of three negatives from BM25's results; ``in-batch+bm25`` adds a drawn one to those of the batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import UsageError
from ance_ir.eval.runs import read_run
from ance_ir.pipelines import Systems
from ance_ir.training import CandidateNegatives, InBatchNegatives, MixedNegatives, NegativeSource, RandomNegatives, TrainingQueries


class NamedNegatives:
    """Makes negative sources over one dataset.

    Args:
        dataset: what is searched.
        store: its documents.
        queries: the training queries.
        split: theirs.
        depth: documents of a ranking that negatives are drawn from.
        device: where systems compute.
        mined: makes the source named ``ance``; ``None`` where a model cannot mine.
    """

    def __init__(
        self,
        dataset: Dataset,
        store: DocumentStore,
        queries: TrainingQueries,
        *,
        split: str,
        depth: int,
        device: str,
        mined: Callable[[], NegativeSource] | None = None,
    ) -> None:
        if depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {depth}")
        self._dataset = dataset
        self._store = store
        self._queries = queries
        self._split = split
        self._depth = depth
        self._device = device
        self._mined = mined

    def make(self, text: str) -> NegativeSource:
        """The source of a name.

        Raises:
            UsageError: it is no source, or none that the model can be trained with.
            TrainingError: a run that does not fit the queries and documents.
        """
        if Path(text).is_file():
            return self._of_run(Path(text))
        sources, weights = [], []
        for part in [text] if ">>" in text or Path(text).exists() else text.split("+"):
            match = re.fullmatch(r"\s*(?:(\d+(?:\.\d+)?)\s*\*)?\s*(.*?)\s*", part)
            assert match is not None
            if not match[2]:
                raise UsageError(f"negatives are [WEIGHT*]NAME, joined by +, not {text!r}")
            sources.append(self._one(match[2]))
            weights.append(float(match[1] or 1))
        return sources[0] if len(sources) == 1 else MixedNegatives(sources, weights)

    def _one(self, name: str) -> NegativeSource:
        if name == "random":
            return RandomNegatives(self._queries)
        if name in ("in-batch", "nce", "ance"):
            if self._mined is None:
                raise UsageError(f"{name} negatives are for dense encoders; a reranker takes random ones, a run's or a system's")
            return self._mined() if name == "ance" else InBatchNegatives("all" if name == "in-batch" else "hardest")
        if Path(name).is_file():
            return self._of_run(Path(name))
        # some of what is found will be excluded; the depth counts what is left
        most_excluded = max(len(excluded) for excluded in self._queries.excluded)
        try:
            _, system = Systems(self._dataset, num_results=self._depth + most_excluded, device=self._device).parse(name)
        except UsageError as error:
            raise UsageError(f"negatives are random, in-batch, nce, ance, a run file or a system: {error.args[0]}") from None
        found = system.transform(self._dataset.queries(self._split))
        return CandidateNegatives.from_run(self._queries, found, self._store, depth=self._depth, name=name)

    def _of_run(self, path: Path) -> CandidateNegatives:
        return CandidateNegatives.from_run(self._queries, read_run(path), self._store, depth=self._depth, name=f"run {path.name}")
