"""Checks before and after a run: refusals of runs that cannot learn, warnings of what may not be intended.

The settings of a resumed run are compared in ``manifest``.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from ance_ir.errors import TrainingError, UsageError
from ance_ir.notices import examples
from ance_ir.training.negatives.source import NegativeSchedule, NegativeSource
from ance_ir.training.objectives.objective import Objective
from ance_ir.training.run.folder import Model, TrainingRun
from ance_ir.training.run.layers import frozen, layer_rates
from ance_ir.training.run.metrics import Best, read_metrics
from ance_ir.training.run.settings import TrainingSettings

logger = logging.getLogger(__name__)


def check_run(objective: Objective[Model], negatives: NegativeSchedule, settings: TrainingSettings, *, mines: bool) -> None:
    """Refuse a run that would learn nothing.

    Args:
        objective: of the run.
        negatives: of the run.
        settings: of the run.
        mines: whether there is a miner.

    Raises:
        UsageError: there would be no negatives, or nothing to train, or a batch cannot be dealt to the processes.
        TrainingError: the model's weights are not finite.
    """
    if settings.batch_size < objective.world.size:
        raise UsageError(f"a batch of {settings.batch_size} queries cannot be dealt to {objective.world.size} processes")
    for name in ("lora", "train_tower"):
        if settings.weights != "float32" and objective.manifest.get(name):
            raise UsageError(f"weights {settings.weights}: with {name}, what is not trained stays as it is; leave one of the two out")
    with frozen(objective.model, settings.freeze):
        layer_rates(objective.model, settings.layer_decay)
    for source in {negatives.at(0), negatives.at(settings.steps - 1)}:
        if source.mines and not mines:
            raise UsageError(f"{source.name} negatives are mined, which takes a miner")
        _check_source(source, objective, settings)
    bad = [name for name, weights in objective.model.named_parameters() if not torch.isfinite(weights).all()]
    if bad:
        raise TrainingError(
            f"{objective.model.name}: {len(bad)} of the model's parameters hold numbers that are not finite ({examples(bad)}), "
            "so that nothing can be learnt; start from another checkpoint"
        )


def _check_source(source: NegativeSource, objective: Objective[Model], settings: TrainingSettings) -> None:
    if source.in_batch != "none" and not objective.in_batch:
        raise UsageError(
            f"{source.name}: the documents of a batch are negatives of dense encoders alone, and not where a teacher scores; "
            "draw negatives: random ones, a run's or a system's"
        )
    if settings.negatives and source.draws:
        return
    if source.in_batch == "none":
        raise UsageError(f"{source.name}: at least 1 negative is to be drawn for each query, not 0")
    if settings.batch_size == 1:
        raise UsageError(f"{source.name}: a batch of 1 query holds no negatives; a batch_size above 1 was expected")
    for one in objective.queries.parts:
        part = slice(one.queries.start, one.queries.stop)
        together, excluded = np.unique(np.concatenate(objective.queries.positives[part])), objective.queries.excluded[part]
        if all(len(documents) >= len(together) and np.isin(together, documents).all() for documents in excluded):
            raise UsageError(
                f"{source.name}: no batch holds a negative, for the {len(excluded)} training queries share their relevant documents; "
                "draw negatives: random, bm25 or ance"
            )


def warn_of_settings(
    objective: Objective[Model], negatives: NegativeSchedule, settings: TrainingSettings, *, every: int | None, evaluates: bool
) -> None:
    """Warn, before anything is computed, of what may not be intended.

    Args:
        objective: of the run.
        negatives: of the run.
        settings: of the run.
        every: steps between two minings of negatives, and evaluations of the dev queries; ``None`` if there are none.
        evaluates: whether there are dev queries.
    """
    steps, queries = settings.steps, len(objective.queries)
    if settings.batch_size > queries:
        logger.warning("a batch of %d queries holds each of the %d training queries more than once", settings.batch_size, queries)
    if every is None:
        return
    mining = [step for step in range(0, steps, every) if negatives.at(step).mines]
    if len(mining) == 1:
        message = "negatives are mined once, at step %d, and never refreshed: the run ends after %d steps, a refresh comes every %d"
        logger.warning(message, mining[0], steps, every)
    if evaluates and steps <= every and settings.select == "last":
        message = "the dev queries are evaluated before the first step alone: the run ends after %d steps, an evaluation comes every %d"
        logger.warning(message, steps, every)


def report_on_run(run: TrainingRun, settings: TrainingSettings, done: int, saved: int, best: Best) -> None:
    """Note, after the last step, which model is saved; say so if it is another than the last or the best one, or if the run ended early;
    warn of steps in which nothing was learnt.

    Args:
        run: its log is complete.
        settings: of the run.
        done: how many steps were done.
        saved: steps of the model that is saved.
        best: of its evaluations.
    """
    run.record(saved={"step": saved, "best_on_dev": best.step})
    if done < settings.steps:
        message = "training ended after step %d of %d: %d evaluations brought no gain over that after step %s"
        logger.warning(message, done, settings.steps, best.without_gain, best.step)
    if best.step is not None and best.last is not None and best.values[best.step] > best.values[best.last]:
        values = (best.measure, best.values[best.step], best.last, best.values[best.last])
        if saved == best.step:
            message = "saved is the model after step %d of %d, the best on dev (%s %.4f, after step %d %.4f)"
            logger.warning(message, saved, done, *values)
        else:
            message = "saved is the model after step %d, the last; on dev that after step %d was better (%s %.4f, after step %d %.4f): %s"
            logger.warning(message, saved, best.step, *values, run.checkpoint_folder(best.step) / "model")
    idle = [line["step"] for line in read_metrics(run.folder / "metrics.jsonl") if line.get("without_negatives")]
    if idle:
        message = "in %d of %d steps nothing was learnt: a batch's queries shared their relevant documents, and none had a negative (%s)"
        logger.warning(message, len(idle), done, examples(idle))
