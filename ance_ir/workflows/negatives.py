"""Negatives by name, as the command line has them: one of ``NEGATIVES``, the data's own, a run file, a system, or a mixture of these.

``mix(2*bm25, random)`` draws two of three negatives from BM25's results; ``mix(in-batch, bm25)`` adds a drawn one to those of the batch.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
import pyterrier as pt

from ance_ir.errors import PointedError, TrainingError, UsageError
from ance_ir.eval.runs import read_run
from ance_ir.pipelines import Systems
from ance_ir.pipelines.systems import OpenModels
from ance_ir.pipelines.systems.named import NAMES
from ance_ir.pipelines.systems.parser import parse_mixture
from ance_ir.pipelines.systems.tree import Source, Stage
from ance_ir.training import NEGATIVES, CandidateNegatives, Draw, MixedNegatives, NegativeSource, Pairs
from ance_ir.training.negatives.from_ranking import candidates_of_run
from ance_ir.workflows.hard_negatives.rankers import ranker_of
from ance_ir.workflows.sets import TrainingSet, TrainingSets

logger = logging.getLogger(__name__)

OWN = "dataset"
"""The name of the negatives that come with the training data."""

_NAMES = {*NEGATIVES, *NAMES, OWN}


def with_mix(text: str) -> str:
    """The text of a source, with ``mix(…)`` for a bare sum.

    Raises:
        PointedError: it cannot be parsed.
    """
    mixture = parse_mixture(text, _NAMES)
    return str(mixture) if mixture.bare else text


def own_pairs(one: TrainingSet) -> Pairs:
    """The pairs of queries and documents that come with a training set, in its own numbers."""
    named = {qid: query for query, qid in enumerate(one.queries.qids)}
    return Pairs.read(one.dataset.instances(one.split), named, one.store.numbers, f"{one.dataset.name}, split {one.split!r},")


@dataclass(frozen=True, eq=False)
class NamedNegatives:
    """Makes negative sources. A query's negatives come from its own corpus.

    Attributes:
        sets: the training sets.
        depth: documents of a ranking that negatives are drawn from.
        device: where systems compute.
        dense: whether a dense encoder is trained; others take neither mined negatives nor those of the batch.
        draw: how mined negatives are drawn, see ``AnnNegatives``.
        temperature: likewise.
    """

    sets: TrainingSets
    _: KW_ONLY
    depth: int
    device: str
    dense: bool = False
    draw: Draw = "uniform"
    temperature: float = 1.0

    def make(self, text: str) -> NegativeSource:
        """The source of a name.

        Raises:
            UsageError: it is no source, or none that the model can be trained with.
            TrainingError: a run that does not fit the queries and documents.
        """
        if Path(text).is_file():
            return self._of_run(Path(text))
        try:
            mixture = parse_mixture(text, _NAMES)
            if mixture.bare:
                logger.warning("negatives %s are read as a mixture of %d sources; write %s", text, len(mixture.sources), mixture)
            sources = [self._one(source, text) for source in mixture.sources]
        except PointedError as error:
            raise UsageError(f"negatives are {', '.join([*NEGATIVES, OWN])}, a run file, a system or mix(…) of these: {error}") from None
        if len(sources) == 1:
            return sources[0]
        return MixedNegatives(sources, [source.weight for source in mixture.sources])

    def _one(self, source: Source, text: str) -> NegativeSource:
        name = source.text
        if name in NEGATIVES:
            made = NEGATIVES[name](self.sets.queries, self.draw, self.temperature)
            if not self.dense and (made.mines or made.in_batch != "none"):
                raise UsageError(f"{name} negatives are for dense encoders; a reranker takes random ones, a run's or a system's")
            if made.mines:
                self._warn_of_depth()
            return made
        if name == OWN:
            return self._of_dataset()
        if isinstance(source.tree, Stage) and source.tree.path is not None and source.tree.path.is_file():
            return self._of_run(source.tree.path)
        self._warn_of_depth()
        return self._of_candidates([self._found(one, source, text) for one in self.sets], name)

    def _found(self, one: TrainingSet, source: Source, text: str) -> list[np.ndarray]:
        """What a system finds for the queries of a set.

        Raises:
            TrainingError: nothing, or documents that the corpus does not hold.
        """
        models = OpenModels()

        @functools.cache
        def pipeline(results: int) -> pt.Transformer:
            return Systems(one.dataset, num_results=results, device=self.device, models=models).of_tree(source.tree, text)

        ranker = ranker_of(pipeline, self.depth, source.text, one.dataset, one.store, one.queries, positives=False)
        found, total = [np.zeros(0, dtype=np.int64)] * len(one.queries), 0
        for ranked in ranker.allowed(np.arange(len(one.queries)), self.depth):
            for query, numbers in zip(ranked.queries.tolist(), ranked.found_BF, strict=True):
                found[query] = numbers[numbers >= 0]
            total += ranked.excluded + int((ranked.found_BF >= 0).sum())
        if not total:
            raise TrainingError(f"{source.text} finds nothing for any of the {len(found)} training queries")
        return found

    def _of_candidates(self, found: Sequence[Sequence[np.ndarray]], name: str) -> CandidateNegatives:
        """The source that draws from candidates of each set's queries, in the set's own numbers."""
        candidates = [numbers + one.first for one, own in zip(self.sets, found, strict=True) for numbers in own]
        return CandidateNegatives(self.sets.queries, candidates, name, self.depth)

    def _of_dataset(self) -> CandidateNegatives:
        """The negatives that come with the training data, hard ones first."""
        found = [own_pairs(one).negatives(len(one.queries)) for one in self.sets]
        for one, own in zip(self.sets, found, strict=True):
            if not any(map(len, own)):
                raise TrainingError(f"{one.dataset.name}, split {one.split!r}: the training data has no negatives of its own")
        return self._of_candidates(found, OWN)

    def _warn_of_depth(self) -> None:
        for one in self.sets.corpora:
            if self.depth > len(one.store):
                message = "negatives are drawn from the first %d documents of a ranking, and the corpus has %d: all of them are candidates"
                logger.warning(message, self.depth, len(one.store))

    def _of_run(self, path: Path) -> CandidateNegatives:
        self._warn_of_depth()
        run, name = read_run(path), f"run {path.name}"
        self.sets.check_qids(set(run["qid"]), f"the {name}")
        return self._of_candidates([candidates_of_run(one.queries, run, one.store, name) for one in self.sets], name)
