"""What training an encoder, a reranker and a reader on a dataset have in common."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ance_ir.brief import Brief
from ance_ir.datasets import Dataset
from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.errors import UsageError
from ance_ir.notices import collected
from ance_ir.training import NegativeSchedule, NegativeSource, Objective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.run.folder import Model
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets
from ance_ir.workflows.shared_queries import warn_of_shared_queries
from ance_ir.world import World


@dataclass(frozen=True, kw_only=True, repr=False)
class DatasetTraining(Brief):
    """What any model is trained on; each family of models adds settings of its own.

    Attributes:
        negatives: where they come from: a name, a run file, a system or a mixture, as ``NamedNegatives`` reads it.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on; of several datasets a split for each, or one for all.
        weights: of several datasets, see ``TrainingSets.open``.
        held_out: ``SPLIT:N``: queries of the first dataset that are left out as those of such a dev split are, without being evaluated.

    Raises:
        UsageError: the depth is below 1.
    """

    negatives: str = "bm25"
    depth: int = 100
    split: str | Sequence[str] = "train"
    weights: Sequence[float] = ()
    held_out: str | None = None

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {self.depth}")


Settings = TypeVar("Settings", bound=DatasetTraining)


def settings_of(kind: type[Settings], how: Settings | None, options: dict[str, Any]) -> Settings:
    """The settings that were given as one object, as keyword arguments, or as an object of which some fields are changed."""
    return kind(**options) if how is None else dataclasses.replace(how, **options)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """One or several datasets opened for training.

    Attributes:
        sets: the datasets.
        how: what is trained on.
        world: the processes that train together.
        notices: warnings up to now, for the run's manifest.
    """

    sets: TrainingSets
    how: DatasetTraining
    world: World
    notices: Sequence[str]

    @property
    def dataset(self) -> Dataset:
        """The first dataset, on whose queries models are evaluated."""
        return self.sets.sets[0].dataset

    @property
    def store(self) -> NumberedDocuments:
        """The documents of all corpora."""
        return self.sets.store

    @property
    def queries(self) -> TrainingQueries:
        """The training queries of all datasets."""
        return self.sets.queries

    def negatives(self, device: object, **options: Any) -> Callable[[str], NegativeSource]:
        """Makes negatives by name, the leading process first.

        Args:
            device: where systems compute.
            options: see ``NamedNegatives``.
        """
        named = NamedNegatives(self.sets, depth=self.how.depth, device=str(device), **options)
        return lambda text: self.world.lead_first(lambda: named.make(text))

    def apart_from(self, dev: DevQueries | None) -> TrainingData:
        """The same data without the queries that are held out for evaluation."""
        return self if dev is None else dataclasses.replace(self, sets=dev.left(self.sets))

    def evaluated_on(self, dev: DevQueries | None) -> TrainingData:
        """The same data without the queries that are held out; warns of others that are asked again where the model is evaluated."""
        data = self.apart_from(dev)
        data.warn_of_shared_queries(dev)
        return data

    def warn_of_shared_queries(self, dev: DevQueries | None = None) -> None:
        """Warn of training queries that are asked again where the model is evaluated, or in the test queries of any of the datasets."""
        if not self.world.leads:
            return
        several = len(self.sets.sets) > 1
        for asked in {one.dataset.source: one for one in reversed(self.sets.sets)}.values():
            for one in self.sets:
                of_first = dev if asked.dataset is self.dataset else None
                warn_of_shared_queries(asked.dataset, one.queries, asked.split, of_first, named=several)

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

        Raises:
            UsageError: the run is to end where nothing is gained, and there are no dev queries.
        """
        if settings.stop_after is not None and not (described or {}).get("dev_split"):
            raise UsageError(f"stop_after {settings.stop_after} counts evaluations without gain, and there are none: name a dev_split")
        held_out = {"held_out": self.how.held_out} if self.how.held_out is not None else {}
        dataset = {**self.sets.described, **held_out, **(described or {})}
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
def opened(datasets: Dataset | Sequence[Dataset], how: DatasetTraining, world: World, *, verbose: bool) -> Iterator[TrainingData]:
    """Open datasets for training; warnings are collected for the run's manifest until the training ends.

    Raises:
        UsageError: not as many splits or weights as datasets.
        TrainingError: no query has a relevant document in the corpus.
    """
    several = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    splits = [how.split] if isinstance(how.split, str) else how.split
    with collected() as notices:
        for dataset in several:
            world.lead_first(functools.partial(dataset.store, verbose=verbose))
        sets = TrainingSets.open(several, splits, how.weights, verbose=verbose)
        data = TrainingData(sets=sets, how=how, world=world, notices=notices)
        held_out = DevQueries.of(data.dataset, how.held_out, None)
        if held_out is not None and held_out.held_out is None:
            raise UsageError(f"held_out={how.held_out!r}: a split and a number of its queries were expected, such as 'train:200'")
        yield data.apart_from(held_out)
