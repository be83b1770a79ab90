"""Inferencers of a training run: one works with nothing but the run's folder; a trainer starts them on its own machine."""

from __future__ import annotations

import copy
import functools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ance_ir.datasets import load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import parse_passages
from ance_ir.models import DenseEncoder
from ance_ir.models.adapters.layers import is_adapted
from ance_ir.models.compute.device import find_device
from ance_ir.models.loading.source import absolute
from ance_ir.processes import usable_cpus
from ance_ir.training import Inferencer, Inferencers, TrainingRun
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.mining import Mining
from ance_ir.workflows.sets import TrainingSets, described_sets

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision


def run_inferencer(
    folder: Path | str,
    *,
    dataset: Sequence[str] | str | None = None,
    dev_dataset: str | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    patience: float = 600.0,
    say: Callable[[str], object],
    workers: int | None = 0,
    verbose: bool = False,
) -> None:
    """Mine negatives with a run's newest checkpoint until its training ends.

    Args:
        folder: the run's, which other machines may share.
        dataset: the run's dataset, or all of several in the trainer's order, if they are in another place than for the trainer.
        dev_dataset: likewise the dataset that it is evaluated on, where it has one for this.
        device: where to encode and search.
        precision: what to encode in; by default the checkpoint's own.
        patience: seconds without a run, or a heartbeat of its trainer, after which this ends.
        say: called with a line about each thing done.
        workers: see ``AnnMiner``.
        verbose: show progress.

    Raises:
        TrainingError: there is no such run, it mines by itself, its dataset is another here, or its training failed.
    """
    if patience <= 0:
        raise UsageError(f"patience is above 0 seconds, not {patience:g}")
    run = TrainingRun(folder)
    if not (run.folder / "run.json").exists():
        say(f"waiting for a training run to begin in {folder}")
    until = time.monotonic() + patience
    while not (run.folder / "run.json").exists() and time.monotonic() < until:
        time.sleep(min(1.0, patience / 10))
    manifest = run.manifest
    if (manifest.get("refresh") or {}).get("kind") != "asynchronous":
        raise TrainingError(f"{folder}: this run takes no negatives from inferencers; train with --inferencers")
    opened = _sets(manifest, [dataset] if isinstance(dataset, str) else list(dataset or ()), folder, verbose)
    dev = DevQueries.of_run(manifest, opened.sets[0].dataset, dev_dataset)
    held_out = DevQueries.of(opened.sets[0].dataset, manifest["dataset"].get("held_out"), None)
    sets = functools.reduce(lambda sets, one: one.left(sets) if one else sets, (dev, held_out), opened)
    miner = Mining.of_run(manifest, manifest["environment"]["place"]["reuse"], workers).miner(
        sets,
        parse_passages(manifest["passages"]),
        depth=manifest["refresh"]["depth"],
        dev=dev,
        device=str(find_device(device)),
        keep_indexes=manifest["refresh"]["keep_indexes"],
        verbose=verbose,
    )

    Inferencer(run, miner, _Loading(device, precision), patience=patience, say=say).work()


class _Loading:
    """Opens checkpoints; of those that are adapters the base is opened once, and a copy of it is converted where that is asked for."""

    def __init__(self, device: str | None, precision: Precision | None) -> None:
        self._device = "cpu" if device is None and precision == "int8" else device
        self._precision = precision
        self._adapted: DenseEncoder | None = None

    def __call__(self, checkpoint: Path) -> DenseEncoder:
        model = self._adapted
        if model is None:
            model = DenseEncoder.from_pretrained(checkpoint, device=self._device)
            self._adapted = model if is_adapted(model) else None
        else:
            model.load_adapter(checkpoint)
            model.name = absolute(str(checkpoint))
        if self._precision in (None, model.precision):
            return model
        return (copy.deepcopy(model) if is_adapted(model) else model).at_precision(self._precision)


def _sets(manifest: Mapping[str, Any], names: list[str], folder: Path | str, verbose: bool) -> TrainingSets:
    """The training sets of a run, from where they are named, or where its trainer found them.

    Raises:
        TrainingError: they are others here.
    """
    described, place = described_sets(manifest), manifest["environment"]["place"]["dataset"]
    names = names or ([place] if isinstance(place, str) else place)
    if len(names) != len(described):
        raise TrainingError(f"{folder} began on {len(described)} datasets; {len(names)} are named; see --dataset")
    found = [load_dataset(name) for name in names]
    for dataset, then in zip(found, described, strict=True):
        if dataset.fingerprint != then["fingerprint"]:
            raise TrainingError(f"{folder} began on {then['name']}; {dataset.source} is another, or it has changed; see --dataset")
    weights = [then["weight"] for then in described if "weight" in then]
    return TrainingSets.open(found, [then["split"] for then in described], weights, verbose=verbose)


def threads_per_process(devices: Sequence[str | None]) -> int:
    """How many of this machine's processor cores a trainer, and each of its inferencers on these devices, may use."""
    sharing = sum(device == "cpu" or (device is None and not torch.cuda.is_available()) for device in devices)
    return max(1, usable_cpus() // (1 + sharing))


def inferencer_processes(folder: Path, datasets: Sequence[str], dev: DevQueries | None, devices: Sequence[str | None]) -> Inferencers:
    """Inferencers of the run in ``folder``, to be started on this machine, one for each device; they open datasets by these names."""
    named = [word for dataset in datasets for word in ("--dataset", dataset)]
    base = [sys.executable, "-m", "ance_ir", "-v", "inferencer", str(folder), *named, "--with-parent"]
    if dev is not None and dev.source is not None:
        base += ["--dev-dataset", dev.source]
    commands = [[*base, *(["--device", device] if device else [])] for device in devices]
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(threads_per_process(devices)))
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):  # torchrun's, for the trainers
        environment.pop(name, None)
    environment["LOCAL_WORLD_SIZE"] = str(len(devices))  # they share the processors
    return Inferencers(commands, folder / "inferencers", environment)
