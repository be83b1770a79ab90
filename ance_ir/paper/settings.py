"""Settings of a study of negatives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ance_ir.brief import Brief
from ance_ir.errors import UsageError
from ance_ir.indexes.mining.ann_miner import DEPTH
from ance_ir.training import TrainingSettings

SCHEMES = (
    "random",
    "nce",
    "bm25",
    "in-batch",
    "bm25+random",
    "bm25 -> random",
    "bm25 -> nce",
    "bm25 -> bm25+random",
    "ance",
    "bm25 -> ance",
    "in-batch -> ance",
)
"""The paper's (table 1), DPR's in-batch negatives, and ANCE from the start and after two kinds of initial negatives."""

_ARROW = "->"


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Where a run's negatives come from.

    Attributes:
        negatives: as ``NamedNegatives`` reads it, or its name: a bare sum, ``bm25+random``, is a mixture, as the paper's tables have it.
        warm_up: the initial negatives (the paper's warm-up); ``None``: none.
    """

    negatives: str
    warm_up: str | None = None

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """The scheme of a text: ``"random"``, ``"bm25 -> ance"``.

        Raises:
            UsageError: the text is no scheme.
        """
        parts = [part.strip() for part in text.split(_ARROW)]
        if len(parts) > 2 or not all(parts):
            raise UsageError(f"a scheme is SOURCE or SOURCE -> SOURCE, not {text!r}")
        return cls(negatives=parts[-1], warm_up=parts[0] if len(parts) == 2 else None)

    def __str__(self) -> str:
        return self.negatives if self.warm_up is None else f"{self.warm_up} {_ARROW} {self.negatives}"


@dataclass(frozen=True, kw_only=True, repr=False)
class StudySettings(Brief):
    """Settings of a study; all of them go into its ``study.json``.

    Attributes:
        dataset: its name, as ``load_dataset`` takes it.
        model: the encoder that every run starts from.
        layers: how many of its layers are kept; ``None``: all.
        schemes: what is compared, as ``Scheme.parse`` reads it.
        seeds: a run of each scheme for each.
        steps: optimiser steps of a run.
        batch_size: queries of a batch.
        learning_rate: its peak; it rises over the first tenth of the steps and falls linearly to 0.
        refresh_every: steps between two minings of ANCE's negatives.
        warm_up_share: the share of the steps after which a scheme ``A -> B`` changes to B, at a step with a refresh.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on.
        dev_split: queries to evaluate on in addition to those of the test, or ``SPLIT:N`` for N training queries that are held out;
            ``None``: ``dev`` where the dataset has it.
        dev_dataset: whose dev queries, over the same documents; its name; ``None``: those of ``dataset``. See ``DevQueries.of``.
        test_split: queries that the expectations are tested on.
        query_length: tokens of a query; ``None``: the model's.
        passage_length: tokens of a document, of which the first are read; ``None``: the model's.

    Raises:
        UsageError: settings that do not fit together.
    """

    dataset: str
    model: str = "all-MiniLM-L6-v2"
    layers: int | None = None
    schemes: tuple[str, ...] = SCHEMES
    seeds: tuple[int, ...] = (42, 43, 44)
    steps: int = 160
    batch_size: int = 32
    learning_rate: float = 5e-5
    refresh_every: int = 40
    warm_up_share: float = 0.5
    depth: int = DEPTH
    split: str = "train"
    dev_split: str | None = None
    dev_dataset: str | None = None
    test_split: str = "test"
    query_length: int | None = None
    passage_length: int | None = None

    def __post_init__(self) -> None:
        for name in ("schemes", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise UsageError(f"{name}: at least one, and none twice, was expected, not {', '.join(map(str, values)) or 'nothing'}")
        for seed in self.seeds:
            self.training(seed)
        if self.depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {self.depth}")
        if (self.dev_split or "").partition(":")[0] == self.test_split and self.dev_dataset is None:
            raise UsageError(f"dev and test queries are both of the split {self.test_split!r}; name two, or leave dev_split out")
        warmed = [scheme for scheme in map(Scheme.parse, self.schemes) if scheme.warm_up is not None]
        if warmed and (not 0 < self.until < self.steps or self.until % self.refresh_every):
            raise UsageError(
                f"{warmed[0]}: its initial negatives would end at step {self.until} of {self.steps}, but they end at a refresh "
                f"within the run, that is at a multiple of {self.refresh_every}; change warm_up_share, steps or refresh_every"
            )

    @property
    def until(self) -> int:
        """The step at which initial negatives end."""
        return round(self.warm_up_share * self.steps)

    def training(self, seed: int, temperature: float = 1.0) -> TrainingSettings:
        """The settings of a training run. Dropout is off, so that runs of one seed differ in their negatives alone."""
        return TrainingSettings(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warm_up_steps=self.steps // 10,
            temperature=temperature,
            refresh_every=self.refresh_every,
            dropout=False,
            seed=seed,
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, in what JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
