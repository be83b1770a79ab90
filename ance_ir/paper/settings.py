"""Settings of a study of negatives."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from ance_ir.brief import Brief
from ance_ir.errors import UsageError
from ance_ir.indexes.mining.ann_miner import DEPTH
from ance_ir.training import TEMPERATURES, TrainingSettings

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
_LATER = {"later": True}
"""Of a setting that older studies do not name; they had its default."""


EVALUATIONS = 3
"""How often a stage of the warm-up is evaluated, after its start."""


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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the warm-up.

    Attributes:
        negatives: as in ``Scheme``.
        steps: optimiser steps.
        learning_rate: its peak.
    """

    negatives: str
    steps: int
    learning_rate: float

    @classmethod
    def parse(cls, text: str) -> Stage:
        """The stage of a text: ``"in-batch:300:1e-4"``.

        Raises:
            UsageError: the text is no stage.
        """
        try:
            negatives, steps, rate = text.rsplit(":", 2)
            return cls(negatives=negatives.strip(), steps=int(steps), learning_rate=float(rate))
        except ValueError:
            raise UsageError(f"a stage of the warm-up is SOURCE:STEPS:RATE, such as bm25:200:5e-5, not {text!r}") from None


@dataclass(frozen=True, kw_only=True, repr=False)
class StudySettings(Brief):
    """Settings of a study; all of them go into its ``study.json``.

    Attributes:
        dataset: its name, as ``load_dataset`` takes it.
        model: the encoder that every run starts from.
        layers: how many of its layers are kept; ``None``: all.
        fresh_head: see ``DenseEncoder.from_pretrained``: ``"ance"``, the paper's, whose score is the dot product.
        separate_towers: begin with two towers, copies of the one.
        warm_up: what it is trained with first, once for all runs: stages as ``Stage.parse`` reads them, one after the other. Each is
            evaluated on the dev queries and leaves its best model.
        schemes: what is compared, as ``Scheme.parse`` reads it.
        seeds: a run of each scheme for each.
        steps: optimiser steps of a run.
        batch_size: queries of a batch.
        optimiser: see ``TrainingSettings``.
        learning_rate: its peak; it rises over the first tenth of the steps and falls linearly to 0.
        temperature: scores are divided by it; ``None``: 1 for dot products, 0.05 for cosines.
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
    fresh_head: str | None = field(default=None, metadata=_LATER)
    separate_towers: bool = field(default=False, metadata=_LATER)
    warm_up: tuple[str, ...] = field(default=(), metadata=_LATER)
    schemes: tuple[str, ...] = SCHEMES
    seeds: tuple[int, ...] = (42, 43, 44)
    steps: int = 160
    batch_size: int = 32
    optimiser: str = field(default="adamw", metadata=_LATER)
    learning_rate: float = 5e-5
    temperature: float | None = field(default=None, metadata=_LATER)
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
        for stage in self.stages:
            self.warming(stage)
        if self.warm_up and self.dev_split is None:
            raise UsageError("the warm-up is evaluated on dev queries: name a dev split, such as train:200")
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

    def scaled(self, scale: Fraction) -> StudySettings:
        """A trial: all numbers of steps multiplied."""

        def fewer(steps: int) -> int:
            return max(1, round(steps * scale))

        warm_up = tuple(f"{one.negatives}:{fewer(one.steps)}:{one.learning_rate:g}" for one in self.stages)
        return replace(self, steps=fewer(self.steps), refresh_every=fewer(self.refresh_every), warm_up=warm_up)

    @property
    def stages(self) -> list[Stage]:
        """Those of the warm-up."""
        return [Stage.parse(text) for text in self.warm_up]

    def training(self, seed: int, similarity: str = "dot") -> TrainingSettings:
        """The settings of a training run of a model with this similarity.

        Dropout is off, so that runs of one seed differ in their negatives alone.
        """
        return TrainingSettings(
            steps=self.steps,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            warm_up_steps=self.steps // 10,
            temperature=TEMPERATURES[similarity] if self.temperature is None else self.temperature,
            refresh_every=self.refresh_every,
            dropout=False,
            seed=seed,
        )

    def warming(self, stage: Stage, similarity: str = "dot") -> TrainingSettings:
        """The settings of a stage of the warm-up, under the first seed."""
        every = max(1, stage.steps // EVALUATIONS)
        changed: dict[str, Any] = {"steps": stage.steps, "learning_rate": stage.learning_rate, "warm_up_steps": stage.steps // 10}
        return replace(self.training(self.seeds[0], similarity), refresh_every=every, **changed)

    def to_json(self) -> dict[str, Any]:
        """All of it, in what JSON can hold, but for those of ``_LATER`` at their defaults."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if not one.metadata or getattr(self, one.name) != one.default}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}
