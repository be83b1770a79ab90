"""Inferencers of a training run: one works with nothing but the run's folder; a trainer starts them on its own machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import parse_passages
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.device import find_device
from ance_ir.processes import usable_cpus
from ance_ir.training import Inferencer, Inferencers, TrainingQueries, TrainingRun
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.mining import Mining

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision


def run_inferencer(
    folder: Path | str,
    *,
    dataset: str | None = None,
    dev_dataset: str | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    patience: float = 600.0,
    say: Callable[[str], object],
    verbose: bool = False,
) -> None:
    """Mine negatives with a run's newest checkpoint until its training ends.

    Args:
        folder: the run's, which other machines may share.
        dataset: the run's dataset, if it is in another place than for the trainer.
        dev_dataset: likewise the dataset that it is evaluated on, where it has one for this.
        device: where to encode and search.
        precision: what to encode in; by default the checkpoint's own.
        patience: seconds without a run, or a heartbeat of its trainer, after which this ends.
        say: called with a line about each thing done.
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
    found: Dataset = load_dataset(dataset or manifest["environment"]["place"]["dataset"])
    if found.fingerprint != manifest["dataset"]["fingerprint"]:
        raise TrainingError(f"{folder} began on {manifest['dataset']['name']}; {found.source} is another, or it has changed; see --dataset")
    store = found.store(verbose=verbose)
    queries = TrainingQueries.load(found, store, manifest["dataset"]["split"])
    miner = Mining.of_run(manifest, manifest["environment"]["place"]["reuse"]).miner(
        store,
        queries,
        parse_passages(manifest["passages"]),
        depth=manifest["refresh"]["depth"],
        dev=DevQueries.of_run(manifest, found, dev_dataset),
        device=str(find_device(device)),
        keep_indexes=manifest["refresh"]["keep_indexes"],
        verbose=verbose,
    )

    def load(checkpoint: Path) -> DenseEncoder:
        return DenseEncoder.from_pretrained(checkpoint, device=device, precision=precision)

    Inferencer(run, miner, load, patience=patience, say=say).work()


def threads_per_process(devices: Sequence[str | None]) -> int:
    """How many of this machine's processor cores a trainer, and each of its inferencers on these devices, may use."""
    sharing = sum(device == "cpu" or (device is None and not torch.cuda.is_available()) for device in devices)
    return max(1, usable_cpus() // (1 + sharing))


def inferencer_processes(folder: Path, dataset: Dataset, dev: DevQueries | None, devices: Sequence[str | None]) -> Inferencers:
    """Inferencers of the run in ``folder``, to be started on this machine, one for each device."""
    base = [sys.executable, "-m", "ance_ir", "-v", "inferencer", str(folder), "--dataset", dataset.source, "--with-parent"]
    if dev is not None and dev.source is not None:
        base += ["--dev-dataset", dev.source]
    commands = [[*base, *(["--device", device] if device else [])] for device in devices]
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(threads_per_process(devices)))
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):  # torchrun's, for the trainers
        environment.pop(name, None)
    return Inferencers(commands, folder / "inferencers", environment)
