"""What a command will take, said before it begins, and what it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.eval.experiment import Announce
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.dense.size import Size
from ance_ir.training import NegativeSchedule, Trainer
from ance_ir.workflows.planning.figures import duration
from ance_ir.workflows.planning.job import Corpus, Job
from ance_ir.workflows.planning.machine import Machine
from ance_ir.workflows.planning.pipelines import Flow, UnknownCostError, Work
from ance_ir.workflows.planning.searching import is_planned, total
from ance_ir.workflows.planning.stages import RUN_LINE, Stage, encoding, mining, step_counts

LONG = 10.0
"""Seconds from which on work is long enough for an estimate to be said."""

_SAMPLE = 256
"""Documents that stand for all."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What work will take.

    Attributes:
        seconds: by the clock.
        disk: bytes that it leaves.
        source: whose unit costs these are.
    """

    seconds: float
    disk: float
    source: str

    def __str__(self) -> str:
        return f"estimate: {duration(self.seconds)}, {self.disk / 2**30:.2g} GiB of disk ({self.source})"


@contextlib.contextmanager
def announced(estimate: Estimate | None, say: Callable[[str], object] | None) -> Iterator[None]:
    """Say an estimate first, and in the end what the work took; nothing of work that should be short and is.

    Args:
        estimate: of the work; ``None``: there is none.
        say: called with each line; ``None``: nothing is said.
    """
    if estimate is None or say is None:
        yield
        return
    if told := estimate.seconds >= LONG:
        say(str(estimate))
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    if told:
        say(f"took {duration(took)}, {took / estimate.seconds:.2f} × the estimate")
    elif took >= LONG:
        say(f"took {duration(took)}, where less than {duration(LONG)} was expected")


def estimate_indexing(
    encoder: DenseEncoder,
    store: NumberedDocuments,
    passages: PassageScheme,
    *,
    device: str,
    dtype: str = "float32",
    processes: int = 1,
) -> Estimate:
    """What encoding a corpus will take, by a sample of its documents.

    Args:
        encoder: the model.
        store: the documents.
        passages: how they are cut.
        device: ``"cuda"`` or another type.
        dtype: how vectors are stored.
        processes: that share the work, each with a machine or a GPU of its own.
    """
    stage = encoding(_job(encoder, store, passages, dtype=dtype))
    machine = Machine.at_hand(gpu=device == "cuda")
    return Estimate(seconds=machine.seconds(stage.counts) / processes, disk=stage.disk, source=_source(machine))


def estimate_training(
    trainer: Trainer[DenseEncoder],
    store: NumberedDocuments,
    passages: PassageScheme,
    mined: NegativeSchedule | None,
    *,
    depth: int,
    backend: str = "exact",
) -> Estimate:
    """What a run will take, by a sample of its documents.

    Args:
        trainer: of the run.
        store: the documents.
        passages: how they are cut.
        mined: the run's negatives, if this process mines those that are mined; ``None``: others do.
        depth: candidates of a query.
        backend: what searches for them; the cost of one that no plan knows is taken for that of exact search.
    """
    model, settings = trainer.model, trainer.settings
    refreshes = sum(mined.at(step).mines for step in range(0, settings.steps, settings.refresh_every)) if mined else 0
    job = _job(
        model,
        store,
        passages,
        query_tokens=model.settings.query_length,
        queries=len(trainer.batches.queries),
        depth=depth,
        mining_backend=backend if is_planned(backend) else "exact",
        refreshes=refreshes,
        batch_size=settings.batch_size * settings.accumulation,
        negatives=settings.negatives,
    )
    machine = Machine.at_hand(gpu=model.device.type == "cuda")
    steps = Stage(name="training", counts={name: settings.steps * count for name, count in step_counts(job).items()})
    parts = [steps, *([mining(job)] if refreshes else []), *([encoding(job)] if trainer.measures_last else [])]
    seconds = sum(machine.seconds(part.counts) for part in parts) / trainer.world.size
    return Estimate(seconds=seconds, disk=sum(part.disk for part in parts), source=_source(machine))


def estimate_evaluation(systems: Mapping[str, pt.Transformer], queries: pd.DataFrame) -> Estimate | None:
    """What running systems over queries and evaluating their runs will take.

    Args:
        systems: by name.
        queries: frame with ``query``.

    Returns:
        ``None`` if there are none, or it is not known what one takes.
    """
    if not systems:
        return None
    work, asked = Work(), Flow.of(queries["query"].tolist())
    try:
        results = len(queries) * sum(work.through(system, asked).found for system in systems.values())
    except UnknownCostError:
        return None
    work.add({"evaluation.result": results})
    return _estimate(work, RUN_LINE * results)


def announcing_evaluation(say: Callable[[str], object]) -> Announce:
    """For ``evaluate_systems``: says what the systems will take, and took.

    Args:
        say: called with each line.
    """
    return lambda systems, queries: announced(estimate_evaluation(systems, queries), say)


def estimate_mining(pipeline: pt.Transformer, queries: Sequence[str], depth: int, together: int) -> Estimate | None:
    """What mining with a pipeline will take; ``None`` if it is not known what it takes.

    Args:
        pipeline: what ranks.
        queries: their texts.
        depth: candidates of each.
        together: how many are asked at a time.
    """
    work, asked = Work(), Flow.of(queries)
    try:
        work.through(pipeline, replace(asked, queries=min(together, len(queries))))
    except UnknownCostError:
        return None
    times = len(queries) / min(together, len(queries))
    work.counts = {name: times * count for name, count in work.counts.items()}
    work.add({"mining.candidate": len(queries) * depth})
    return _estimate(work, 0.0)


def _estimate(work: Work, disk: float) -> Estimate:
    machine = Machine.at_hand(gpu=work.on_gpu)
    return Estimate(seconds=machine.seconds(total(work.once, work.counts)), disk=work.disk + disk, source=_source(machine))


def _job(encoder: DenseEncoder, store: NumberedDocuments, passages: PassageScheme, **options: int | str) -> Job:
    numbers = np.unique(np.linspace(0, len(store) - 1, min(len(store), _SAMPLE)).astype(int))
    texts = [encoder.settings.join(store[int(number)]) for number in numbers]
    cut = encoder.tokenizer.cut(texts, passages)
    whole = encoder.tokenizer.bare([encoder.tokenizer.clean(" ".join(text) if isinstance(text, tuple) else text) for text in texts])
    corpus = Corpus(
        documents=len(store),
        tokens=sum(map(len, whole)) / len(texts),
        lengths=cut.lengths_P.tolist(),
        sampled=len(texts),
    )
    return Job(corpus=corpus, size=Size.of(encoder.passage_tower), dimension=encoder.dimension, **options)  # type: ignore[arg-type]


def _source(machine: Machine) -> str:
    return f"unit costs of {machine.describes}; `ance-ir bench units` measures this machine"
