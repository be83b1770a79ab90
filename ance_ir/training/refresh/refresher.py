"""When negatives are mined again, and from which step on they are used: decided between steps, by the leading process.

Which negatives each step used is kept in the run's ``switches.json``, so a run that is resumed after a crash repeats its steps with the
same negatives, even if others were published meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.training.batches import Batches
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.refresh.miner import Miner
from ance_ir.training.refresh.processes import Inferencers
from ance_ir.training.refresh.switches import Switches
from ance_ir.training.run.folder import TrainingRun
from ance_ir.typed_json import read_typed
from ance_ir.world import World

logger = logging.getLogger(__name__)

_NONE = -1
_LAST, _MEASURES = "negatives/last", "dev.json"
"""Where the last model is evaluated, which inferencers that are still mining leave alone, and its dev measures."""
_POLL = 0.05
_LOOK = 0.2
"""Seconds between two looks for new negatives."""
_SEEN = 20.0
"""Seconds until a shared folder shows to one machine what another has written."""


class Refresher:
    """Mines every ``refresh_every`` steps, while training waits; all processes take part.

    Args:
        batches: of the run; the negatives that are refreshed among them.
        miner: mines; ``None`` where nothing is to be mined.
        world: the processes that train.
    """

    kind = "in-process"
    needs_first_checkpoint = False
    """Whether the initial model must be on disk."""

    def __init__(self, batches: Batches, miner: Miner[Any] | None, world: World) -> None:
        self._batches = batches
        self._miner = miner
        self._world = world
        self.mined_at: int | None = None
        """The step of the model that mined the negatives in use."""

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """For the run's manifest."""
        return {"kind": self.kind, **self._miner.settings} if self._miner is not None else None

    @property
    def processes(self) -> Mapping[str, int | None]:
        """How many train, and how many this run starts to mine meanwhile; ``None``: these are started elsewhere."""
        return {"trainers": self._world.size, "inferencers": 0}

    @property
    def evaluates(self) -> bool:
        """Whether dev queries are evaluated with each refresh."""
        return self._miner is not None and self._miner.evaluates

    def start(self, run: TrainingRun, done: int, reached: int) -> None:
        """Continue after ``done`` steps with the negatives that were in use.

        Args:
            run: the run.
            done: steps of the checkpoint that it is resumed from.
            reached: the last step that was logged before; −1 where none was.

        Raises:
            TrainingError: they are gone.
        """
        self._run = run
        self._switches = Switches(run.folder / "switches.json")
        self._waited = 0.0
        if self._world.leads:
            self._switches.reach(reached)
        if (mined_at := self._switches.before(done)) is not None:
            self._use(mined_at, self._read(mined_at))

    def stop(self, state: str) -> None:
        """Training has ended, or failed."""

    def prepare(self, step: int, model: Any) -> dict[str, Any]:
        """Mine new negatives, or take those that were mined, if they are due before this step.

        Args:
            step: the step.
            model: after ``step`` steps.

        Returns:
            The report of new negatives, if there are any.
        """
        began = time.perf_counter()
        mined_at = self._decide(step, model)
        if mined_at is None:
            self._waited += time.perf_counter() - began
            return {}
        report = self._switch(step, mined_at)
        report["waited_seconds"] = round(self._waited + time.perf_counter() - began, 3)
        self._waited = 0.0
        return report

    def measure(self, model: Any) -> dict[str, float]:
        """Evaluate the dev queries, all processes together; the index that this takes is removed. May only be called if ``evaluates``.

        Args:
            model: after the last step.

        Returns:
            The measures, in the leading process; nothing in others.
        """
        assert self._miner is not None
        folder = self._run.folder / _LAST
        done = folder / _MEASURES
        if self._world.leads and not done.exists():
            write_json(done, self._miner.measure(model, folder, leads=True))
        while not self._world.leads and not done.exists():
            self._miner.measure(model, folder, leads=False)
            time.sleep(_POLL)
        self._world.wait()
        if not self._world.leads:
            return {}
        MinedNegatives.remove(folder)
        measures: dict[str, float] = read_typed(done, dict[str, float], error=TrainingError, remedy="remove it")
        return measures

    def oldest_needed(self, checkpoint: int) -> int:
        """The oldest negatives that a run resumed from a checkpoint needs, by the step of their model."""
        found = self._switches.before(checkpoint)
        return 0 if found is None else found

    def _decide(self, step: int, model: Any) -> int | None:
        if self._miner is None or step % self._batches.settings.refresh_every:
            return None
        if not (self._batches.negatives.at(step).mines or self._miner.evaluates):
            return None
        folder = self._run.negatives_folder(step)
        if self._world.leads:
            with _named(model, self._run.checkpoint_folder(step) / "model"):
                self._miner.mine(model, folder, step, self._previous(step))
        else:
            while not MinedNegatives.available(folder):
                self._miner.help(model, folder)
                time.sleep(_POLL)
        self._world.wait()
        return step

    def _previous(self, step: int) -> MinedNegatives | None:
        before = self._switches.before(step)
        return MinedNegatives.read(self._run.negatives_folder(before)) if before is not None else None

    def _switch(self, step: int, mined_at: int) -> dict[str, Any]:
        mined = self._read(mined_at)
        report = dict(mined.report)
        if (overlap := self._overlap(step, mined)) is not None:
            report["overlap_with_top_100"] = overlap
        self._use(mined_at, mined)
        if self._world.leads and self._switches.at(step) is None:
            self._switches.add(step, mined_at)
        return report

    def _use(self, mined_at: int, mined: MinedNegatives) -> None:
        self._batches.negatives.use(mined)
        self.mined_at = mined_at

    def _read(self, mined_at: int) -> MinedNegatives:
        """What was mined; on shared folders other processes may see it a little later than the leading one."""
        folder = self._run.negatives_folder(mined_at)
        until = time.monotonic() + _SEEN
        while not (self._world.leads or MinedNegatives.available(folder) or time.monotonic() > until):
            time.sleep(_POLL)
        return MinedNegatives.read(folder)

    def _overlap(self, step: int, mined: MinedNegatives) -> float | None:
        """The share of the negatives drawn until now that are in the new model's top 100 (paper, figure 7)."""
        source = self._batches.negatives.at(max(0, step - 1))
        if source.in_batch != "none" or (source.mines and self.mined_at is None):
            return None
        drawn = source.draw(np.asarray(mined.sample_S), max(1, self._batches.settings.negatives), np.random.default_rng([0, step]))
        return round(float(np.mean([np.isin(row, top).mean() for row, top in zip(drawn, mined.top_SN, strict=True)])), 4)


class AsynchronousRefresher(Refresher):
    """Takes what inferencers publish as soon as it is there; waits for the first only.

    Args:
        batches: of the run.
        miner: what inferencers mine with.
        world: the processes that train.
        inferencers: those that this process starts; others may work on the run's folder.
    """

    kind = "asynchronous"
    needs_first_checkpoint = True

    def __init__(self, batches: Batches, miner: Miner[Any], world: World, inferencers: Inferencers) -> None:
        super().__init__(batches, miner, world)
        self._inferencers = inferencers

    @property
    def processes(self) -> Mapping[str, int | None]:
        """See ``Refresher.processes``."""
        return {**super().processes, "inferencers": self._inferencers.count or None}

    def start(self, run: TrainingRun, done: int, reached: int) -> None:
        """See ``Refresher.start``; starts the inferencers too."""
        self._step = done
        self._looked = 0.0
        super().start(run, done, reached)
        if self._world.leads:
            run.beat(done, "training")
            self._inferencers.start()

    def stop(self, state: str) -> None:
        """See ``Refresher.stop``; the inferencers end."""
        if self._world.leads:
            try:
                self._run.beat(self._step, state)
            except OSError as error:  # such as a full disk; the error that ended the training is more important
                logger.warning("%s: no heartbeat can be written (%s)", self._run.folder, error)
            finally:
                self._inferencers.stop()
            if state == "ended":
                self._run.remove_unfinished()

    def measure(self, model: Any) -> dict[str, float]:
        """See ``Refresher.measure``; the inferencers, which have nothing left to do, end before."""
        if self._world.leads:
            self._run.beat(self._step, "ended")
            self._inferencers.stop()
        return super().measure(model)

    def _decide(self, step: int, model: Any) -> int | None:
        self._step = step
        found = self._newest(step) if self._world.leads else _NONE
        found = self._world.broadcast(_NONE if found is None else found)
        return None if found == _NONE else found

    def _newest(self, step: int) -> int | None:
        """The negatives to change to at a step, if any."""
        self._run.beat(step, "training")
        if step <= self._switches.reached:  # a step that is repeated after a crash
            self._inferencers.check(_NONE, needed=False)
            return self._switches.at(step)
        waits = self._batches.negatives.at(step).mines and self.mined_at is None
        warned = time.monotonic()
        if not waits and warned - self._looked < _LOOK:
            return None
        self._looked = warned
        while True:
            published = [mined_at for mined_at in self._run.published() if mined_at <= step]
            newest = max(published, default=_NONE)
            if newest > (_NONE if self.mined_at is None else self.mined_at):
                return newest
            self._inferencers.check(newest, needed=waits)
            if not waits:
                return None
            self._run.beat(step, "waiting")
            if time.monotonic() - warned > 60:
                warned = time.monotonic()
                folder = self._run.folder
                logger.warning("%s: waiting for the first negatives; `ance-ir inferencer %s` mines them", folder, folder)
            time.sleep(_POLL)


@contextlib.contextmanager
def _named(model: Any, checkpoint: Path) -> Iterator[None]:
    """Have a model the name of its checkpoint meanwhile, if there is one, by which an index that is kept finds it again."""
    before = model.name
    model.name = str(checkpoint.resolve()) if checkpoint.exists() else before
    try:
        yield
    finally:
        model.name = before
