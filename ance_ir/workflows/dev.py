"""Queries to evaluate on while a model is trained: of the dataset that it is trained on, or of another over the same documents."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.eval.measures import judged_split
from ance_ir.eval.rankings import same_text
from ance_ir.workflows.sets import TrainingSets


@dataclass(frozen=True, kw_only=True, eq=False)
class DevQueries:
    """Queries to evaluate on while a model is trained.

    Attributes:
        dataset: whose they are.
        split: theirs.
        apart: whether they are of another dataset than the training queries.
        held_out: how many of the split's they are, chosen by a hash of their texts, so that nothing that asks the same is trained on;
            ``None``: all of them.
    """

    dataset: Dataset
    split: str
    apart: bool = False
    held_out: int | None = None

    @classmethod
    def of(cls, dataset: Dataset, split: str | None, dev_dataset: Dataset | None) -> DevQueries | None:
        """The queries that were asked for; ``None`` if none were.

        Args:
            dataset: the one that is trained on.
            split: the dev split, or ``SPLIT:N`` for N queries of a split that are held out; by default ``dev`` of the other dataset where
                it has that, else ``test``.
            dev_dataset: the other dataset, if there is one.

        Raises:
            UsageError: the other dataset has other documents, or several splits, of which one has to be named.
        """
        if dev_dataset is None:
            return None if split is None else cls._of_split(dataset, split)
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
    def _of_split(cls, dataset: Dataset, split: str) -> DevQueries:
        match = None if dataset.has_split(split) else _HELD_OUT.fullmatch(split)
        if match is None:
            return cls(dataset=dataset, split=split)
        if (count := int(match[2])) < 1:
            raise UsageError(f"{split}: at least 1 query is held out")
        return cls(dataset=dataset, split=match[1], held_out=count)

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
    def asked(self) -> str:
        """The split as it was asked for: ``dev``, ``train:200``."""
        return self.split if self.held_out is None else f"{self.split}:{self.held_out}"

    @property
    def name(self) -> str:
        """The split, after the name of a dataset of their own."""
        return f"{self.dataset.name}, {self.asked}" if self.apart else self.asked

    @property
    def source(self) -> str | None:
        """The name by which ``load_dataset`` opens a dataset of their own; ``None`` for the one that is trained on."""
        return self.dataset.source if self.apart else None

    def queries(self) -> pd.DataFrame:
        """Frame of ``qid`` and ``query``, judged or not; of queries that are held out the judged ones."""
        return self.dataset.queries(self.split) if self.held_out is None else self.judged()[0]

    def judged(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """See ``judged_split``.

        Raises:
            UsageError: more are to be held out than there are queries with a relevant document, or all of them.
        """
        queries, qrels = judged_split(self.dataset, self.split)
        if self.held_out is None:
            return queries, qrels
        queries = queries[queries["qid"].isin(qrels["qid"][qrels["label"] > 0])]
        texts = queries["query"].map(same_text)
        hashes = texts[~texts.duplicated()].map(lambda text: hashlib.blake2b(text.encode(), digest_size=8).digest()).sort_values()
        if self.held_out >= len(hashes):
            different = f"the {len(hashes):,} different queries of split {self.split!r} of {self.dataset.name}"
            raise UsageError(f"{self.asked}: fewer than {different} can be held out")
        chosen = queries.loc[sorted(hashes.index[: self.held_out])].reset_index(drop=True)
        return chosen, qrels[qrels["qid"].isin(chosen["qid"])].reset_index(drop=True)

    def left(self, sets: TrainingSets) -> TrainingSets:
        """The training sets without queries that are held out, and without others that ask the same."""
        return sets if self.held_out is None else sets.without(set(self.queries()["query"].map(same_text)))


_HELD_OUT = re.compile(r"(.+):(\d{1,9})")


def described(dev: DevQueries | None) -> dict[str, Any]:
    """What a run's manifest says of them."""
    apart = {"name": dev.dataset.name, "fingerprint": dev.dataset.fingerprint} if dev and dev.apart else None
    return {"dev_split": dev and dev.asked, "dev_dataset": apart}
