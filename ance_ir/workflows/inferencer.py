"""An inferencer for a training run, from the run's folder alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import parse_passages
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.device import find_device
from ance_ir.training import Inferencer, TrainingQueries, TrainingRun
from ance_ir.workflows.mining import Mining

if TYPE_CHECKING:
    from ance_ir.models.compute.precision import Precision


def run_inferencer(
    folder: Path | str,
    *,
    dataset: str | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    patience: float = 600.0,
    say: Callable[[str], object],
    verbose: bool = False,
) -> None:
    """Mine negatives with a run's newest checkpoint until its training ends.

    Args:
        folder: the run's, which other machines may share.
        dataset: the run's dataset, where it is found elsewhere than by the trainer.
        device: where to encode and search.
        precision: what to encode in; by default the checkpoint's own.
        patience: seconds without a run, or a sign of life of its trainer, after which this ends.
        say: told in a line what is done.
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
    told = run.manifest
    if (told.get("refresh") or {}).get("kind") != "asynchronous":
        raise TrainingError(f"{folder}: this run takes no negatives from inferencers; train with --inferencers")
    found: Dataset = load_dataset(dataset or told["environment"]["place"]["dataset"])
    if found.fingerprint != told["dataset"]["fingerprint"]:
        raise TrainingError(f"{folder} was begun on {told['dataset']['name']}; {found.source} is another, or it has changed; see --dataset")
    store = found.store(verbose=verbose)
    queries = TrainingQueries.load(found, store, told["dataset"]["split"])
    miner = Mining.of_run(told, told["environment"]["place"]["reuse"]).miner(
        found,
        store,
        queries,
        parse_passages(told["passages"]),
        depth=told["refresh"]["depth"],
        dev_split=told["dataset"]["dev_split"],
        device=str(find_device(device)),
        keep_indexes=told["refresh"]["keep_indexes"],
        verbose=verbose,
    )

    def load(checkpoint: Path) -> DenseEncoder:
        return DenseEncoder.from_pretrained(checkpoint, device=device, precision=precision)

    Inferencer(run, miner, load, patience=patience, say=say).work()
