"""Queries to evaluate on while a model is trained: of the dataset that it is trained on, or of another over the same documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.eval.measures import judged_split


@dataclass(frozen=True, kw_only=True, eq=False)
class DevQueries:
    """Queries to evaluate on while a model is trained.

    Attributes:
        dataset: whose they are.
        split: theirs.
        apart: whether they are of another dataset than the training queries.
    """

    dataset: Dataset
    split: str
    apart: bool = False

    @classmethod
    def of(cls, dataset: Dataset, split: str | None, dev_dataset: Dataset | None) -> DevQueries | None:
        """The queries that were asked for; ``None`` if none were.

        Args:
            dataset: the one that is trained on.
            split: the dev split; by default ``dev`` of the other dataset where it has that, else ``test``.
            dev_dataset: the other dataset, if there is one.

        Raises:
            UsageError: the other dataset has other documents, or several splits, of which one has to be named.
        """
        if dev_dataset is None:
            return None if split is None else cls(dataset=dataset, split=split)
        if dev_dataset.corpus_fingerprint != dataset.corpus_fingerprint:
            raise UsageError(
                f"a model is evaluated on the documents that it is trained on: {dev_dataset.name} has others than {dataset.name}; "
                "name a dev dataset over the same documents"
            )
        if split is None:
            split = next((name for name in ("dev", "test") if dev_dataset.has_split(name)), None)
        if split is None:
            raise UsageError(
                f"{dev_dataset.name} has no split dev or test; name a dev split, one of {', '.join(dev_dataset.splits) or 'none'}"
            )
        return cls(dataset=dev_dataset, split=split, apart=True)

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any], dataset: Dataset, source: str | None) -> DevQueries | None:
        """The queries that a run is evaluated on.

        Args:
            manifest: the run's.
            dataset: the one that it is trained on.
            source: its dev dataset, if that is in another place than for the trainer.

        Raises:
            TrainingError: the dev dataset is another here than for the trainer.
        """
        described = manifest["dataset"].get("dev_dataset")
        if described is None:
            return cls.of(dataset, manifest["dataset"]["dev_split"], None)
        other = load_dataset(source or manifest["environment"]["place"]["dev_dataset"])
        if other.fingerprint != described["fingerprint"]:
            raise TrainingError(
                f"the run is evaluated on {described['name']}; {other.source} is another, or it has changed; see --dev-dataset"
            )
        return cls.of(dataset, manifest["dataset"]["dev_split"], other)

    @property
    def name(self) -> str:
        """The split, after the name of a dataset of their own."""
        return f"{self.dataset.name}, {self.split}" if self.apart else self.split

    @property
    def source(self) -> str | None:
        """The name by which ``load_dataset`` opens a dataset of their own; ``None`` for the one that is trained on."""
        return self.dataset.source if self.apart else None

    def judged(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """See ``judged_split``."""
        return judged_split(self.dataset, self.split)


def described(dev: DevQueries | None) -> dict[str, Any]:
    """What a run's manifest says of them."""
    apart = {"name": dev.dataset.name, "fingerprint": dev.dataset.fingerprint} if dev and dev.apart else None
    return {"dev_split": dev and dev.split, "dev_dataset": apart}
