"""The inferencer: a process that mines negatives with the newest checkpoint while others train.

Inferencers of one run need nothing but its folder. One of them leads (it holds a lock, so another takes its place when it dies): it says
which checkpoint is next, waits for the parts that the others encode, searches, and publishes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from ance_ir.errors import IndexingError, TrainingError
from ance_ir.locks import held_lock
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.refresh.miner import Miner
from ance_ir.training.run.folder import Model, TrainingRun

logger = logging.getLogger(__name__)

_POLL = 0.2


class Inferencer(Generic[Model]):
    """Mines for a run until its training ends.

    Args:
        run: the run.
        miner: mines.
        load: opens a model's folder.
        patience: seconds without a heartbeat of the trainer after which this ends.
        say: called with a line about each thing done.
    """

    def __init__(
        self, run: TrainingRun, miner: Miner[Model], load: Callable[[Path], Model], *, patience: float, say: Callable[[str], object]
    ) -> None:
        self._run = run
        self._miner = miner
        self._load = load
        self._patience = patience
        self._say = say
        self._opened: tuple[int, Model] | None = None

    def work(self) -> None:
        """Mine until the training ends.

        Raises:
            TrainingError: it failed, or nothing was heard of it for too long.
        """
        folder = self._run.folder / "negatives"
        folder.mkdir(parents=True, exist_ok=True)
        sign: dict[str, Any] = {}
        heard = time.monotonic()
        before = self._run.progress()  # may be that of an interrupted run
        while not self._run.finished and sign.get("state") != "ended":
            try:
                if not self._turn(folder / "leader.lock"):
                    time.sleep(_POLL)
            except (OSError, IndexingError):  # an ended run has been tidied up
                if not self._run.finished:
                    raise
            if (now := self._run.progress()) not in (sign, before):
                sign, heard = now, time.monotonic()
            if sign.get("state") == "failed":
                raise TrainingError(f"{self._run.folder}: the training was interrupted or failed at step {sign['step']}")
            if time.monotonic() - heard > self._patience:
                raise TrainingError(f"{self._run.folder}: nothing was heard of the training for {self._patience:.0f} seconds")
        self._say(f"{self._run.folder}: the training has ended")

    def _turn(self, lock: Path) -> bool:
        """Do what there is to do; return whether this inferencer mined."""
        with held_lock(lock) as leads:
            task = self._next() if leads else self._run.task
            if task is None or MinedNegatives.published(self._run.negatives_folder(task)):
                return False
            if leads:
                self._run.set_task(task)  # first, so that the trainer keeps the checkpoint
            model = self._model(task)
            if model is None or not self._run.checkpoint_folder(task).exists():
                return False
            if leads:
                began = time.perf_counter()
                self._miner.mine(model, self._run.negatives_folder(task), task, self._previous(task))
                self._say(f"mined with the model after {task} steps, in {time.perf_counter() - began:.1f} s")
            else:
                self._miner.help(model, self._run.negatives_folder(task))
            return leads

    def _next(self) -> int | None:
        """The checkpoint of an unfinished refresh, else the newest one if it is newer than what is published."""
        started = self._run.task
        if started is not None and self._run.checkpoint_folder(started).exists():
            folder = self._run.negatives_folder(started)
            if folder.exists() and not MinedNegatives.published(folder):
                return started
        checkpoints, published = self._run.checkpoints(), self._run.published()
        if not checkpoints or (published and checkpoints[-1][0] <= published[-1]):
            return None
        return checkpoints[-1][0]

    def _previous(self, task: int) -> MinedNegatives | None:
        earlier = [step for step in self._run.published() if step < task]
        if not earlier:
            return None
        try:
            return MinedNegatives.read(self._run.negatives_folder(earlier[-1]))
        except TrainingError:  # the trainer removed them meanwhile
            return None

    def _model(self, step: int) -> Model | None:
        """The model of a checkpoint; ``None`` where the trainer removed it meanwhile."""
        if self._opened is None or self._opened[0] != step:
            folder = self._run.checkpoint_folder(step)
            try:
                self._opened = step, self._load(folder / "model")
            except Exception:
                if folder.exists():
                    raise
                return None
        return self._opened[1]
