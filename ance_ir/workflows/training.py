"""What training an encoder, a reranker and a reader on a dataset have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ance_ir.brief import Brief
from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import UsageError
from ance_ir.notices import collected
from ance_ir.training import NegativeSchedule, NegativeSource, Objective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.run.folder import Model
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.shared_queries import warn_of_shared_queries
from ance_ir.world import World


@dataclass(frozen=True, kw_only=True, repr=False)
class DatasetTraining(Brief):
    """What any model is trained on; each family of models adds settings of its own.

    Attributes:
        negatives: where they come from: a name, a run file, a system or a mixture, as ``NamedNegatives`` reads it.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on.

    Raises:
        UsageError: the depth is below 1.
    """

    negatives: str = "bm25"
    depth: int = 100
    split: str = "train"

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {self.depth}")


Settings = TypeVar("Settings", bound=DatasetTraining)


def settings_of(kind: type[Settings], how: Settings | None, options: dict[str, Any]) -> Settings:
    """The settings that were given as one object, as keyword arguments, or as an object of which some fields are changed."""
    return kind(**options) if how is None else dataclasses.replace(how, **options)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """A dataset opened for training.

    Attributes:
        dataset: documents, queries and judgements.
        store: its documents.
        queries: the training queries.
        how: what is trained on.
        world: the processes that train together.
        notices: warnings up to now, for the run's manifest.
    """

    dataset: Dataset
    store: DocumentStore
    queries: TrainingQueries
    how: DatasetTraining
    world: World
    notices: Sequence[str]

    def negatives(self, device: object, **options: Any) -> Callable[[str], NegativeSource]:
        """Makes negatives by name, the leading process first.

        Args:
            device: where systems compute.
            options: see ``NamedNegatives``.
        """
        how = self.how
        named = NamedNegatives(self.dataset, self.store, self.queries, split=how.split, depth=how.depth, device=str(device), **options)
        return lambda text: self.world.lead_first(lambda: named.make(text))

    def warn_of_shared_queries(self, dev: DevQueries | None = None) -> None:
        """Warn of training queries that are asked again where the model is evaluated."""
        if self.world.leads:
            warn_of_shared_queries(self.dataset, self.queries, self.how.split, dev)

    def trainer(
        self,
        objective: Objective[Model],
        negatives: NegativeSchedule,
        settings: TrainingSettings,
        folder: Path | str,
        *,
        described: dict[str, Any] | None = None,
        **parts: Any,
    ) -> Trainer[Model]:
        """The trainer of a run.

        Args:
            objective: the model and its loss.
            negatives: where negatives come from.
            settings: of the run.
            folder: of the run.
            described: what else the manifest says of the dataset.
            parts: see ``Trainer``.
        """
        dataset = {"name": self.dataset.name, "fingerprint": self.dataset.fingerprint, "split": self.how.split, **(described or {})}
        return Trainer(
            objective,
            negatives,
            settings,
            folder,
            dataset=dataset,
            notices=self.notices,
            **parts,
        )


@contextmanager
def opened(dataset: Dataset, how: DatasetTraining, world: World, *, verbose: bool) -> Iterator[TrainingData]:
    """Open a dataset for training; warnings are collected for the run's manifest until the training ends.

    Raises:
        TrainingError: no query has a relevant document in the corpus.
    """
    with collected() as notices:
        store = world.lead_first(lambda: dataset.store(verbose=verbose))
        queries = TrainingQueries.load(dataset, store, how.split)
        yield TrainingData(dataset=dataset, store=store, queries=queries, how=how, world=world, notices=notices)
