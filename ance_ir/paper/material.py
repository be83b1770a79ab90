"""What all runs of a study share: the collection, its queries, the model to start from, and how a system is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import counts_itself, load_dataset
from ance_ir.eval.measures import evaluate
from ance_ir.indexes import AnceIndex, FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.paper.settings import Scheme, StudySettings
from ance_ir.ranking import without_itself
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.negatives import NamedNegatives, with_mix
from ance_ir.workflows.sets import TrainingSets

MEASURES = ("RR@10", "nDCG@10", "R@100")
DEPTH = 100
"""Documents of a ranking that is evaluated."""

PASSAGES = FirstP()


class Material:
    """Opened once for a study.

    Attributes:
        start: the folder of the run whose model all runs start from; ``None``: they start from the model of the settings.

    Args:
        settings: of the study.
        device: where models compute; by default a GPU where there is one.

    Raises:
        AnceError: the dataset, one of its splits or the model is not there.
    """

    def __init__(self, settings: StudySettings, device: str | None) -> None:
        self.settings = settings
        self._device = device
        self.dataset = load_dataset(settings.dataset)
        self.store = self.dataset.store()
        self.dev = DevQueries.of(self.dataset, settings.dev_split, load_dataset(settings.dev_dataset) if settings.dev_dataset else None)
        sets = TrainingSets.open([self.dataset], [settings.split])
        self.sets = sets if self.dev is None else self.dev.left(sets)
        self.queries = self.sets.queries
        test = DevQueries(dataset=self.dataset, split=settings.test_split)
        dev = self.dev or (DevQueries(dataset=self.dataset, split="dev") if self.dataset.has_split("dev") else test)
        self._judged = {evaluated.name: evaluated.judged() for evaluated in dict.fromkeys((dev, test))}
        self.splits = tuple(self._judged)
        self.start: Path | None = None
        model = self.model()
        self.fingerprint = model.fingerprint()
        self.similarity = model.similarity
        self.device = str(model.device)

    def model(self) -> DenseEncoder:
        """The model to start from, opened again each time."""
        settings = self.settings
        lengths = {"query_length": settings.query_length, "passage_length": settings.passage_length}
        given: dict[str, Any] = {name: length for name, length in lengths.items() if length is not None}
        if self.start is not None:
            return DenseEncoder.from_pretrained(self.start, device=self._device, **given)
        given |= {"layers": settings.layers, "fresh_head": settings.fresh_head, "seed": settings.seeds[0]}
        model = DenseEncoder.from_pretrained(settings.model, device=self._device, **given)
        return model.with_separate_towers() if settings.separate_towers else model

    def negatives(self) -> NamedNegatives:
        """Makes negative sources by name, as training does."""
        return NamedNegatives(self.sets, depth=self.settings.depth, device=self.device, dense=True)

    def check_schemes(self) -> None:
        """Refuse names that are no negatives before anything is trained.

        Raises:
            UsageError: says which.
        """
        schemes = [Scheme.parse(text) for text in self.settings.schemes]
        named = self.negatives()
        names = [stage.negatives for stage in self.settings.stages]
        names += [name for scheme in schemes for name in (scheme.warm_up, scheme.negatives) if name is not None]
        for name in dict.fromkeys(names):
            named.make(with_mix(name))

    def index(self, model: DenseEncoder, folder: Path) -> AnceIndex:
        """The corpus as a model sees it; documents have the store's numbers. Opened where it is there already."""
        index = AnceIndex(folder)
        if index.built():
            return index
        return index_corpus(folder, model, self.store, PASSAGES)

    def evaluate(self, system: pt.Transformer) -> dict[str, pd.DataFrame]:
        """For each split, the value of each measure for each judged query; as ``ance_ir.eval.evaluate`` returns it."""
        found = {}
        for split, (queries, qrels) in self._judged.items():
            results = system.transform(queries)
            if not counts_itself(self.dataset.name):
                results = without_itself(results)
            found[split] = evaluate(results, qrels, MEASURES)
        return found


def to_json(per_query: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Values of queries by split, in what JSON can hold."""
    return {split: {"qid": list(values.index), **{name: list(values[name]) for name in values}} for split, values in per_query.items()}


def from_json(values: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """What ``to_json`` was given."""
    return {split: pd.DataFrame(found).set_index("qid") for split, found in values.items()}
