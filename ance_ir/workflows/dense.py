"""Training on a dataset by the name of a negative-sampling scheme, evaluated as it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.files import as_path
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining.miner import DEPTH
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.models import CrossEncoder, DenseEncoder, Encoding, PassageScheme
from ance_ir.models.compute.device import find_device
from ance_ir.notices import collected
from ance_ir.processes import usable_cpus
from ance_ir.training import (
    DenseObjective,
    Inferencers,
    NegativeSchedule,
    Trainer,
    TrainingQueries,
    TrainingSettings,
    TwoStageNegatives,
)
from ance_ir.workflows.mining import Mining
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.shared_queries import warn_of_shared_queries
from ance_ir.world import ALONE, World


def train_on_dataset(
    dataset: Dataset,
    model: DenseEncoder,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    scheme: str,
    passages: PassageScheme,
    depth: int = DEPTH,
    split: str = "train",
    dev_split: str | None = None,
    warm_up: str | None = None,
    warm_up_until: int | None = None,
    loss: str | None = None,
    teacher: CrossEncoder | None = None,
    dimensions: Sequence[int] = (),
    grad_cache: bool = False,
    mining: Mining | None = None,
    inferencers: Sequence[str | None] | None = None,
    keep_indexes: bool = False,
    world: World = ALONE,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
    tensorboard: bool = False,
) -> DenseEncoder:
    """Train a model on a dataset's queries; what was broken off goes on.

    Args:
        dataset: documents, queries and judgements.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        scheme: where negatives come from, as ``NamedNegatives`` reads it: ``"ance"``, ``"mix(bm25, random)"``, …
        passages: how documents are cut.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on.
        dev_split: queries to evaluate on at each refresh, from the vectors just made; with other negatives than ANCE's the corpus is
            encoded for this alone.
        warm_up: where they come from at first.
        warm_up_until: the step at which they change, one at which there is a refresh; the first refresh after step 0 by default.
        loss: see ``DenseObjective``; by default ``"nll"`` with in-batch negatives, else ``"pairwise-nll"``.
        teacher: likewise.
        dimensions: likewise.
        grad_cache: likewise.
        mining: how ANCE's negatives are mined and drawn.
        inferencers: devices of the processes that mine while this one trains; none of them: those that are started elsewhere, on the run's
            folder; ``None``: training waits while it mines.
        keep_indexes: keep the index of every refresh.
        world: the processes that train together.
        say: told in a line what each refresh found.
        verbose: show progress.
        tensorboard: write the log for TensorBoard as well.

    Returns:
        The trained model.

    Raises:
        UsageError: an unknown scheme, or settings that do not fit together.
        TrainingError: the folder holds another run, or training fails.
    """
    with collected() as notices:
        store = world.lead_first(lambda: dataset.store(verbose=verbose))
        queries = TrainingQueries.load(dataset, store, split)
        if world.leads:
            warn_of_shared_queries(dataset, queries, split, dev_split)
        mining = mining or Mining()
        named = NamedNegatives(
            dataset,
            store,
            queries,
            split=split,
            depth=depth,
            device=str(model.device),
            dense=True,
            draw=mining.draw,
            temperature=settings.temperature,
        )
        source = world.lead_first(lambda: named.make(scheme))
        if loss is None:
            loss = "nll" if source.in_batch == "all" else "pairwise-nll"
        schedule: NegativeSchedule = source
        if warm_up is None and warm_up_until is not None:
            raise UsageError(f"warm_up_until {warm_up_until} without a warm_up, which says where negatives come from until then")
        if warm_up is not None:
            until = settings.refresh_every if warm_up_until is None else warm_up_until
            if until < 1 or until % settings.refresh_every:
                raise UsageError(f"a warm-up ends at a refresh, that is at a multiple of {settings.refresh_every} steps, not at {until}")
            if until >= settings.steps:
                raise UsageError(f"the run ends after {settings.steps} steps, before the warm-up does, at {until}; let it end earlier")
            schedule = TwoStageNegatives(world.lead_first(lambda: named.make(warm_up)), source, until)
        mines = any(schedule.at(step).mines for step in (0, settings.steps - 1))
        ignored = [field.name for field in fields(mining) if getattr(mining, field.name) != field.default]
        if ignored and not mines:
            raise UsageError(f"{', '.join(ignored)}: only ance negatives are mined, the negatives are {schedule.name}")
        if mining.reuse is not None:  # what is wrong with it shows before a folder is claimed
            Reuse(AnceIndex(mining.reuse), Encoding.of(model, str(passages)))
        miner = None
        if dev_split or mines:
            device = str(model.device) if inferencers is None else "cpu"  # where inferencers mine, only they ask the filters' teacher
            miner = mining.miner(
                dataset,
                store,
                queries,
                passages,
                depth=depth,
                dev_split=dev_split,
                device=device,
                keep_indexes=keep_indexes,
                verbose=verbose,
            )
            for named_device in inferencers or ():
                find_device(named_device)
        elif inferencers is not None:
            raise UsageError(
                f"inferencers mine, and evaluate on a dev split; with {scheme} negatives and no dev split they have nothing to do"
            )
        trainer = Trainer(
            DenseObjective(
                model, queries, store, passages, loss=loss, teacher=teacher, dimensions=dimensions, grad_cache=grad_cache, world=world
            ),
            schedule,
            settings,
            folder,
            dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split, "dev_split": dev_split},
            place={"dataset": dataset.source, "reuse": str(as_path(mining.reuse).resolve()) if mining.reuse else None},
            miner=miner,
            inferencers=_inferencers(as_path(folder), dataset, inferencers) if inferencers is not None else None,
            notices=notices,
            verbose=verbose,
            tensorboard=tensorboard,
        )
        return trainer.train(None if say is None else lambda step, report: say(_line(step, report, dev_split)))


def threads_beside(devices: Sequence[str | None]) -> int:
    """How many of this machine's processor cores each process gets where a trainer and inferencers on these devices share them."""
    sharing = sum(device == "cpu" or (device is None and not torch.cuda.is_available()) for device in devices)
    return max(1, usable_cpus() // (1 + sharing))


def _inferencers(folder: Path, dataset: Dataset, devices: Sequence[str | None]) -> Inferencers:
    """Inferencers to be started on this machine."""
    base = [sys.executable, "-m", "ance_ir", "-v", "inferencer", str(folder), "--dataset", dataset.source, "--with-parent"]
    commands = [[*base, *(["--device", device] if device else [])] for device in devices]
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(threads_beside(devices)))
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):  # torchrun's, for the trainers
        environment.pop(name, None)
    return Inferencers(commands, folder / "inferencers", environment)


def _line(step: int, report: dict[str, Any], dev_split: str | None) -> str:
    told = {name.replace("_", " "): value for name, value in report.items() if name not in ("mined_at", "refresh", "dev")}
    told |= {f"{dev_split} {name}": value for name, value in report.get("dev", {}).items()}
    return f"refresh at step {step}: {', '.join(f'{name} {value:.4g}' for name, value in told.items() if value is not None)}"
