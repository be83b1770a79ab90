"""What the processes of tests do: train and mine on the small collection, and say in which phase they are."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ance_ir.datasets import load_dataset
from ance_ir.files import write_json
from ance_ir.indexes import FirstP, MaxP, index_documents
from ance_ir.indexes.mining import AnnMiner
from ance_ir.indexes.mining.search import CandidateSearch
from ance_ir.indexes.store import corpus
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.workers import Workers
from ance_ir.training import (
    AnnNegatives,
    DenseObjective,
    InBatchNegatives,
    Inferencer,
    Inferencers,
    MinedNegatives,
    RandomNegatives,
    RerankerObjective,
    Trainer,
    TrainingQueries,
    TrainingRun,
    TrainingSettings,
)
from ance_ir.training.batches import Batches
from ance_ir.world import join_world
from tests.processes import ELSEWHERE, MINING, PUBLISHING, TRAINING
from tests.tiny import cross_encoder, encoder

SETTINGS = {"steps": 12, "batch_size": 4, "learning_rate": 1e-3, "refresh_every": 4, "checkpoint_every": 2, "negatives": 2}


def _announce(phase: Synchronized[int] | None) -> None:
    """Let this process say in which phase it is."""
    if phase is None:
        return

    def announced(owner: type, name: str, value: int) -> None:
        method = getattr(owner, name)

        @contextmanager
        def during() -> Iterator[None]:
            before, phase.value = phase.value, value
            try:
                yield
            finally:
                phase.value = before

        def wrapped(*arguments: Any, **options: Any) -> Any:
            with during():
                return method(*arguments, **options)

        setattr(owner, name, wrapped)

    phase.value = ELSEWHERE
    announced(Trainer, "_step", TRAINING)
    announced(TrainingRun, "save", PUBLISHING)
    announced(CorpusEncoding, "lead", MINING)
    announced(CandidateSearch, "search", MINING)
    announced(MinedNegatives, "publish", PUBLISHING)


def trainer(collection: Path, folder: Path, *, inferencers: Inferencers | None = None, **settings: Any) -> Trainer[DenseEncoder]:
    dataset = load_dataset(collection)
    store = dataset.store()
    queries = TrainingQueries.load(dataset, store)
    world = join_world(torch.device("cpu"))
    return Trainer(
        DenseObjective(encoder(), queries, store, FirstP(), world=world),
        AnnNegatives(queries),
        TrainingSettings(**{**SETTINGS, **settings}),
        folder,
        dataset={"name": "tiny"},
        miner=AnnMiner(queries, store, FirstP(), depth=5),
        inferencers=inferencers,
    )


def train(collection: Path, folder: Path, phase: Synchronized[int] | None, settings: dict[str, Any]) -> None:
    """Train, and mine."""
    torch.set_num_threads(1)
    _announce(phase)
    trainer(collection, folder, **settings).train()


def train_together(collection: Path, folder: Path, rank: int, size: int, port: int, settings: dict[str, Any]) -> None:
    """Train, and mine, as one of several processes; each writes the weights that it ends with."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    trained = trainer(collection, folder, **settings).train()
    save_file(dict(trained.named_parameters()), folder / f"{rank}.safetensors")


def train_asynchronously(collection: Path, folder: Path, phase: Synchronized[int] | None, settings: dict[str, Any]) -> None:
    """Train with negatives from inferencers that are started elsewhere."""
    torch.set_num_threads(1)
    _announce(phase)
    trainer(collection, folder, inferencers=Inferencers([], folder), **settings).train()


def infer(collection: Path, folder: Path, phase: Synchronized[int] | None, patience: float = 60.0) -> None:
    """Mine for a run until it ends."""
    torch.set_num_threads(1)
    _announce(phase)
    dataset = load_dataset(collection)
    store = dataset.store()
    miner = AnnMiner(TrainingQueries.load(dataset, store), store, FirstP(), depth=5)
    inferencer = Inferencer(
        TrainingRun(folder), miner, lambda path: DenseEncoder.from_pretrained(path, device="cpu"), patience=patience, say=print
    )
    inferencer.work()


def begin_inferring_and_die(folder: Path, told: Connection) -> None:
    """Start a process as an inferencer, say which it is, and be killed."""
    inferencers = Inferencers([["cat"]], folder)
    inferencers.start()
    told.send(inferencers.processes[0])
    os.kill(os.getpid(), signal.SIGKILL)


def encode_part_by_part(collection: Path, folder: Path, phase: Synchronized[int] | None, leads: bool) -> None:
    """Encode the corpus, alone or beside others."""
    torch.set_num_threads(1)
    _announce(phase)
    corpus.LEAST = 4  # ten parts
    encoding = CorpusEncoding(folder, load_dataset(collection).store(), encoder(), FirstP())
    if leads:
        encoding.lead()
    else:
        while not (folder / "manifest.json").exists():
            encoding.help()


def index_a_stream(collection: Path, folder: Path, phase: Synchronized[int] | None) -> None:
    """Index the documents of the collection as a stream."""
    torch.set_num_threads(1)
    _announce(phase)
    corpus.LEAST = 4  # ten parts
    documents = iter(load_dataset(collection).documents())
    if phase is not None:
        phase.value = TRAINING
    index_documents(folder, encoder(), documents, MaxP(4, 3), dtype="float16")


def tokenize_until_killed(told: Connection) -> None:
    """Tokenise by two processes for ever, and say which these are."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so do its children
    with Workers(partial(encoder().tokenizer.cut, scheme=FirstP()), 2) as workers:
        stream = workers.tokenized(itertools.repeat(["a cat and a dog"] * 20), torch.device("cpu"))
        for _ in range(500):
            next(stream)
        assert workers._pool is not None
        told.send(list(workers._pool._processes))
        while next(stream) is not None:
            pass


OBJECTIVES: dict[str, dict[str, Any]] = {
    "pairwise": {},
    "in-batch": {"loss": "nll", "in_batch": "all"},
    "nce": {"in_batch": "hardest"},
    "maxp": {"passages": MaxP(4, 3)},
    "two towers": {"shared": False, "loss": "hinge"},
    "grad cache": {"loss": "nll", "in_batch": "all", "grad_cache": True},
    "in-batch margin": {"loss": "nll", "in_batch": "all", "grad_cache": True, "in_batch_margin": 0.5},
    "matryoshka": {"dimensions": (8,)},
    "teacher": {"loss": "margin-mse", "teacher": True},
    "kl": {"loss": "kl", "teacher": True},
    "bce": {"loss": "bce"},
    "bfloat16": {"bfloat16": True, "batch_size": 3, "positives_only": True},
    "reranker": {"reranker": True},
    "fewer documents than processes": {"batch_size": 3, "positives_only": True},
}


def gradients(collection: Path, name: str, out: Path, rank: int, size: int, port: int) -> None:
    """Write the gradients of one batch, summed over processes, and the loss."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    options = dict(OBJECTIVES[name])
    dataset = load_dataset(collection)
    store = dataset.store()
    queries = TrainingQueries.load(dataset, store)
    world = join_world(torch.device("cpu"))
    in_batch, bfloat16 = options.pop("in_batch", "none"), options.pop("bfloat16", False)
    shared, passages = options.pop("shared", True), options.pop("passages", FirstP())
    batch_size, positives_only = options.pop("batch_size", 6), options.pop("positives_only", False)
    source = InBatchNegatives(in_batch) if in_batch != "none" else RandomNegatives(queries)
    batch = Batches(queries, source, TrainingSettings(steps=1, batch_size=batch_size, negatives=3)).of_step(0)[0]
    if positives_only:  # all texts the same two documents
        batch.queries[:], batch.positives[:] = batch.queries[0], batch.positives[0]
        batch.negatives[:] = batch.negatives[0, 0]
    objective: Any
    if options.pop("reranker", False):
        objective = RerankerObjective(cross_encoder(), queries, store, world=world)
    else:
        if options.pop("teacher", False):
            options["teacher"] = cross_encoder()
        objective = DenseObjective(encoder(shared=shared), queries, store, passages, world=world, **options)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        loss, tokens = objective.backward(batch, 0.5, 1.0)
    world.sum_gradients(objective.model.parameters())
    found = {key: parameter.grad.numpy() for key, parameter in objective.model.named_parameters() if parameter.grad is not None}
    np.savez(out / f"{size}-{rank}.npz", **found)
    write_json(out / f"{size}-{rank}.json", {"loss": float(loss), "tokens": world.sum(tokens)})
