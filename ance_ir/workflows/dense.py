"""Training a dense encoder on a dataset, with mined negatives or others; its dev queries are evaluated at each refresh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.files import as_path
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.indexes.mining.ann_miner import DEPTH
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.models import CrossEncoder, DenseEncoder, Encoding, PassageScheme
from ance_ir.models.adapters.lora import Lora
from ance_ir.models.compute.device import find_device
from ance_ir.moved import warn_of_old_name
from ance_ir.training import (
    DenseObjective,
    Inferencers,
    Miner,
    NegativeSchedule,
    NegativeSource,
    Teacher,
    Trainer,
    TrainingSettings,
    TwoStageNegatives,
)
from ance_ir.workflows.dev import DevQueries, described
from ance_ir.workflows.inferencer import inferencer_processes
from ance_ir.workflows.mining import Mining
from ance_ir.workflows.planning.estimates import Estimate, announced, estimate_training
from ance_ir.workflows.sets import one_or_more
from ance_ir.workflows.teaching import with_scores
from ance_ir.workflows.training import DatasetTraining, TrainingData, opened, settings_of
from ance_ir.world import ALONE, World


@dataclass(frozen=True, kw_only=True, repr=False)
class DenseTraining(DatasetTraining):
    """What a dense encoder is trained on.

    Attributes:
        negatives: see ``DatasetTraining``: ``"ance"``, ``"mix(bm25, random)"``, …
        depth: likewise.
        split: likewise.
        held_out: likewise.
        passages: how documents are cut.
        dev_split: queries to evaluate on at each refresh, with the vectors that it made; where no negatives are mined, the corpus is
            encoded for this alone.
        dev_dataset: whose queries these are, over the same documents; by default those of the dataset that is trained on. ``dev_split``
            is then ``dev``, where it has that, else ``test``.
        warm_up: the initial negatives (the paper's BM25 warm-up).
        warm_up_until: the step from which ``negatives`` follow them, one with a refresh; the first refresh after step 0 by default.
        loss: see ``DenseObjective``; by default ``"nll"`` with in-batch negatives, else ``"pairwise-nll"``.
        teacher: see ``DenseObjective``.
        teacher_scores: a teacher's scores that were computed before, see ``with_scores``; ``teacher`` is asked for pairs that have none.
        teacher_temperature: see ``DenseObjective``.
        dimensions: likewise.
        dimension_weights: likewise.
        grad_cache: likewise.
        in_batch_margin: likewise; for negatives of the batch alone.
        symmetric: likewise; for negatives of the batch alone.
        train_tower: see ``DenseObjective``.
        mining: how ANCE's negatives are mined and drawn.
        inferencers: devices of the processes that mine while this one trains; an empty sequence: processes that are started elsewhere, on
            the run's folder; ``None``: training waits while it mines.
        keep_indexes: keep the index of every refresh.
        lora: train a new adapter beside the model's weights, which stay as they are, see ``Pretrained.add_adapter``.

    Raises:
        UsageError: settings that do not fit together.
    """

    negatives: str = "ance"
    depth: int = DEPTH
    passages: PassageScheme = field(default_factory=FirstP)
    dev_split: str | None = None
    dev_dataset: Dataset | None = None
    warm_up: str | None = None
    warm_up_until: int | None = None
    loss: str | None = None
    teacher: CrossEncoder | None = None
    teacher_scores: str | None = None
    teacher_temperature: float = 1.0
    dimensions: Sequence[int] = ()
    dimension_weights: Sequence[float] = ()
    grad_cache: bool = False
    in_batch_margin: float | None = None
    symmetric: bool = False
    train_tower: str | None = None
    mining: Mining = field(default_factory=Mining)
    inferencers: Sequence[str | None] | None = None
    keep_indexes: bool = False
    lora: Lora | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warm_up is None and self.warm_up_until is not None:
            raise UsageError(f"warm_up_until {self.warm_up_until} needs warm_up, the negatives until then")
        if self.lora is not None and self.mining.reuse is not None:
            raise UsageError(f"reuse {self.mining.reuse}: with an adapter in it the model is another than that of the index")

    def schedule(self, make: Callable[[str], NegativeSource], settings: TrainingSettings) -> NegativeSchedule:
        """The source of each step's negatives.

        Args:
            make: makes a source by its name.
            settings: of the run.

        Raises:
            UsageError: the initial negatives do not end at a refresh within the run.
        """
        source = make(self.negatives)
        if self.warm_up is None:
            return source
        every, steps = settings.refresh_every, settings.steps
        until = every if self.warm_up_until is None else self.warm_up_until
        if until < 1 or until % every:
            raise UsageError(f"initial negatives end at a refresh, that is at a multiple of {every} steps, not at {until}")
        if until >= steps:
            raise UsageError(f"initial negatives end within the run, that is before step {steps}, not at {until}")
        return TwoStageNegatives(make(self.warm_up), source, until)


def train_on_dataset(
    dataset: Dataset | Sequence[Dataset],
    model: DenseEncoder,
    folder: Path | str,
    settings: TrainingSettings,
    how: DenseTraining | None = None,
    *,
    world: World = ALONE,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
    report_to: Sequence[str] = (),
    **options: Any,
) -> DenseEncoder:
    """Train a dense encoder on a dataset's queries; an interrupted run is resumed.

    Args:
        dataset: documents, queries and judgements; or several training sets, over one corpus or more. Each batch is of one of them, drawn
            by ``weights``, and the negatives of a query come from its own corpus; dev queries are those of the first.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        how: what is trained on.
        world: the processes that train together.
        say: called with a line about each refresh.
        verbose: show progress.
        report_to: see ``Trainer``.
        options: fields of ``how``, instead of it or changed in it.

    Returns:
        The trained model.

    Raises:
        UsageError: the negatives cannot be read, or settings do not fit together.
        TrainingError: the folder holds another run, or training fails.
    """
    if "scheme" in options:
        warn_of_old_name("train_on_dataset(scheme=…)", "train_on_dataset(negatives=…)")
        options["negatives"] = options.pop("scheme")
    if "mining" in options and options["mining"] is None:  # which stood for the defaults
        del options["mining"]
    how = settings_of(DenseTraining, how, options)
    with opened(dataset, how, world, verbose=verbose) as data:
        dev = DevQueries.of(data.dataset, how.dev_split, how.dev_dataset)
        data = data.evaluated_on(dev)
        data, teacher = _taught(data, how)
        schedule = how.schedule(data.negatives(model.device, dense=True, draw=how.mining.draw, temperature=settings.temperature), settings)
        trainer = data.trainer(
            _objective(data, how, model, teacher, schedule, settings),
            schedule,
            settings,
            folder,
            described=described(dev),
            place=_place(data, how, dev),
            miner=_miner(data, how, dev, model, schedule, settings, verbose),
            inferencers=_inferencers(data, how, dev, folder),
            verbose=verbose,
            report_to=report_to,
        )
        with announced(_estimate(data, how, trainer) if say else None, say):
            return trainer.train(None if say is None else lambda step, report: say(_line(step, report, dev)))


def _place(data: TrainingData, how: DenseTraining, dev: DevQueries | None) -> dict[str, Any]:
    """Where the data is on this machine."""
    reuse = how.mining.reuse
    return {
        "dataset": one_or_more(data.sets.sources),
        "dev_dataset": dev.source if dev else None,
        "reuse": str(as_path(reuse).resolve()) if reuse else None,
    }


def _inferencers(data: TrainingData, how: DenseTraining, dev: DevQueries | None, folder: Path | str) -> Inferencers | None:
    """The processes that mine meanwhile, to be started on this machine."""
    return None if how.inferencers is None else inferencer_processes(as_path(folder), data.sets.sources, dev, how.inferencers)


def _taught(data: TrainingData, how: DenseTraining) -> tuple[TrainingData, Teacher | CrossEncoder | None]:
    """The data, with as much as its teacher lets be drawn, and the teacher."""
    return (data, how.teacher) if how.teacher_scores is None else with_scores(data, how.teacher_scores, how.teacher, how.passages)


def _objective(
    data: TrainingData,
    how: DenseTraining,
    model: DenseEncoder,
    teacher: Teacher | CrossEncoder | None,
    schedule: NegativeSchedule,
    settings: TrainingSettings,
) -> DenseObjective:
    """What is minimised.

    Raises:
        UsageError: what is for negatives of the batch, where there are none.
    """
    first, last = schedule.at(0), schedule.at(settings.steps - 1)
    for name, asked in (("in_batch_margin", how.in_batch_margin is not None), ("symmetric", how.symmetric)):
        if asked and first.in_batch == last.in_batch == "none":
            raise UsageError(f"{name} is for negatives of the batch (in-batch, nce); the negatives are {schedule.name}")
    if how.lora is not None:
        model.add_adapter(how.lora, settings.seed)
    return DenseObjective(
        model,
        data.queries,
        data.store,
        how.passages,
        loss=how.loss or ("nll" if last.in_batch == "all" else "pairwise-nll"),
        teacher=teacher,
        teacher_temperature=how.teacher_temperature,
        dimensions=how.dimensions,
        dimension_weights=how.dimension_weights,
        grad_cache=how.grad_cache,
        in_batch_margin=how.in_batch_margin,
        symmetric=how.symmetric,
        train_tower=how.train_tower,
        world=data.world,
    )


def _miner(
    data: TrainingData,
    how: DenseTraining,
    dev: DevQueries | None,
    model: DenseEncoder,
    schedule: NegativeSchedule,
    settings: TrainingSettings,
    verbose: bool,
) -> Miner[DenseEncoder] | None:
    """What mines and evaluates; ``None`` where neither is needed.

    Raises:
        UsageError: settings of mining, or inferencers, without anything to mine or to evaluate.
    """
    mines = any(schedule.at(step).mines for step in (0, settings.steps - 1))
    ignored = [one.name for one in dataclasses.fields(how.mining) if getattr(how.mining, one.name) != one.default and one.compare]
    if ignored and not mines:
        raise UsageError(f"{', '.join(ignored)}: only ance negatives are mined, the negatives are {schedule.name}")
    if how.mining.reuse is not None and settings.weights != "float32":
        raise UsageError(f"reuse {how.mining.reuse}: with weights in {settings.weights} the model is another than that of the index")
    if how.mining.reuse is not None:  # what is wrong with it shows before a folder is claimed
        Reuse(AnceIndex(how.mining.reuse), Encoding.of(model, str(how.passages)))
    if not (dev or mines):
        if how.inferencers is not None:
            raise UsageError(f"inferencers mine and evaluate; with {how.negatives} negatives and no dev split they have nothing to do")
        return None
    for device in how.inferencers or ():
        find_device(device)
    return how.mining.miner(
        data.sets,
        how.passages,
        depth=how.depth,
        dev=dev,
        device=str(model.device) if how.inferencers is None else "cpu",  # where inferencers mine, only they ask the filters' teacher
        keep_indexes=how.keep_indexes,
        verbose=verbose,
    )


def _estimate(data: TrainingData, how: DenseTraining, trainer: Trainer[DenseEncoder]) -> Estimate | None:
    """What the run will take; ``None`` where it is resumed, or another process says it."""
    if not data.world.leads or trainer.run.finished or trainer.run.checkpoints():
        return None
    mined = None if how.inferencers is not None else trainer.negatives
    return estimate_training(trainer, data.store, how.passages, mined, depth=how.depth, backend=how.mining.backend)


def _line(step: int, report: dict[str, Any], dev: DevQueries | None) -> str:
    shown = {name.replace("_", " "): value for name, value in report.items() if name not in ("mined_at", "refresh", "dev")}
    shown |= {f"{dev.name if dev else ''} {name}": value for name, value in report.get("dev", {}).items()}
    when = "refresh at" if "mined_at" in report else "after"
    return f"{when} step {step}: {', '.join(f'{name} {value:.4g}' for name, value in shown.items() if value is not None)}"
