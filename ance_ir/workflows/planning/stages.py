"""What each stage of a job does, and what that needs: the laws by which unit costs become a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ance_ir.indexes.ann.settings import is_exact
from ance_ir.indexes.mining.search import SAMPLE
from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.models.compute.inference import TOKEN_BUDGET
from ance_ir.workflows.planning.job import BYTES, Corpus, Job
from ance_ir.workflows.planning.searching import Counts, Searched, reading, total
from ance_ir.workflows.planning.training_memory import training_memory

PROCESS = 600 << 20
"""Bytes of a process that has imported torch and transformers, and has opened nothing."""

PER_DOCUMENT = 48
"""Bytes of memory for each document while documents are written, or put in the order of ties."""

BM25_BUILDER = 400 << 20
"""Bytes that PISA takes in addition: 1 GiB in all was seen at a million passages, of which it holds 100,000 at a time."""

PER_QUERY = 1_000
"""Bytes of memory for a training query: its texts, positives and what it excludes."""

PER_RESULT = 440
"""Bytes of memory for a row of a run, while it is evaluated: itself, and what is made of it."""

RUN_LINE = 60
"""Bytes on disk of a result in a run."""

_KEPT = {"hidden": 6, "inner": 2}
"""Activations of a token that live at once, in widths and in inner widths of a layer, of 4 bytes."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a job.

    Attributes:
        name: what it is called.
        counts: how many units of each kind it takes, by the names of costs.
        spread: whether several machines share it.
        disk: bytes that it leaves, in addition to those of its units.
        memory: bytes of a process.
        gpu_memory: bytes on a GPU, where there is one.
    """

    name: str
    counts: Counts
    spread: bool = False
    disk: float = 0.0
    memory: float = PROCESS
    gpu_memory: float = 0.0


def stages(job: Job, *, gpu: bool) -> Iterator[Stage]:
    """The stages of a job, in their order.

    Args:
        job: what is planned.
        gpu: whether the machine has one.
    """
    yield _documents(job)
    yield _bm25(job)
    yield encoding(job)
    if not is_exact(job.backend):
        yield _faiss(job)
    if job.queries and job.refreshes:
        yield mining(job)
    if job.steps:
        yield _training(job, gpu=gpu)
    yield _evaluation(job)


def _documents(job: Job) -> Stage:
    corpus = job.corpus
    counts = {"store.begin": 1, "store.document": corpus.documents, "store.token": corpus.documents * corpus.tokens}
    return Stage(name="documents", counts=counts, memory=PROCESS + PER_DOCUMENT * corpus.documents)


def _bm25(job: Job) -> Stage:
    corpus, asked = job.corpus, job.test_queries
    counts = {
        "bm25.begin": 1,
        "bm25.document": corpus.documents,
        "bm25.token": corpus.documents * corpus.tokens,
        "bm25.query": asked,
        "bm25.query_document": asked * corpus.documents,
    }
    return Stage(name="BM25", counts=counts, memory=PROCESS + BM25_BUILDER + PER_DOCUMENT * corpus.documents)


def encoding(job: Job) -> Stage:
    """The corpus is made an index."""
    corpus = job.corpus
    counts = {
        "encoding.begin": 1,
        "encoding.token": corpus.documents * corpus.tokens,
        "encoding.passage": corpus.passages,
        "encoding.operation": corpus.operations(job.size),
    }
    stored = corpus.passages * job.dimension * BYTES[job.dtype]
    return Stage(
        name="encoding",
        counts=counts,
        spread=True,
        disk=stored + PER_DOCUMENT * corpus.documents,
        memory=PROCESS + 4 * job.size.weights + PER_DOCUMENT * corpus.documents,
        gpu_memory=_encoder(job),
    )


def _encoder(job: Job) -> float:
    """Bytes of an encoder and the activations of a batch, on a GPU."""
    inner = job.size.matrices / max(1, job.size.layers) / job.size.width / 3  # of a layer's 12 widths, 8 are its inner layer's
    per_token = 4 * (_KEPT["hidden"] * job.size.width + _KEPT["inner"] * inner)
    return 4 * job.size.weights + TOKEN_BUDGET["cuda"] * per_token


def _faiss(job: Job) -> Stage:
    searched = searched_by(job, job.backend)
    return Stage(name=f"building {searched.family}", counts=searched.building, disk=searched.bytes, memory=PROCESS + searched.held_building)


def searched_by(job: Job, backend: str) -> Searched:
    """The vectors of a job."""
    return Searched(rows=round(job.corpus.passages), dimension=job.dimension, backend=backend)


def mining(job: Job) -> Stage:
    """Each refresh encodes the corpus and the queries, searches, and keeps candidates."""
    exact, searched = is_exact(job.mining_backend), searched_by(job, job.mining_backend)
    sample = {} if exact else searched_by(job, "exact").searching(min(SAMPLE, job.queries), job.depth)  # it tells what was missed
    once = total(
        encoding(job).counts,
        reading(job.size, [job.query_tokens], job.queries),
        searched.building,
        searched.searching(job.queries, job.depth),
        sample,
        {"mining.candidate": job.queries * job.depth},
    )
    kept = 8.0 * job.queries * job.depth
    held = PER_QUERY * job.queries + kept + 4 * job.size.weights + PER_DOCUMENT * job.corpus.documents
    return Stage(
        name=f"mining, {job.refreshes} ×",
        counts={name: job.refreshes * count for name, count in once.items()},
        spread=True,
        disk=encoding(job).disk + searched.bytes + job.refreshes * kept,
        memory=PROCESS + held + max(MEMORY_BUDGET, searched.held_building),
        gpu_memory=max(_encoder(job), 4 * job.size.weights + MEMORY_BUDGET),
    )


def _training(job: Job, *, gpu: bool) -> Stage:
    memory = training_memory(job, bfloat16=gpu)  # on a GPU the unit was measured so
    queries = PER_QUERY * job.queries
    counts = {name: job.steps * count for name, count in step_counts(job).items()}
    on_host = PROCESS + queries
    return Stage(
        name=f"training, {job.steps:,} steps",
        counts=counts,
        spread=True,
        disk=2 * 12.0 * job.size.weights,  # two checkpoints with their optimisers
        memory=on_host if gpu else on_host + memory,
        gpu_memory=memory,
    )


def step_counts(job: Job) -> dict[str, float]:
    """What a step takes; forwards and backwards are three times the operations of encoding."""
    documents = Corpus(documents=job.batch_size * (1 + job.negatives), tokens=0, lengths=job.corpus.lengths, sampled=job.corpus.sampled)
    queries = job.batch_size * job.size.operations([job.query_tokens])
    return {"training.operation": 3 * (documents.operations(job.size) + queries), "training.weight": job.size.weights}


def _evaluation(job: Job) -> Stage:
    rows = job.test_queries * job.results
    searched = searched_by(job, job.backend)
    asked = reading(job.size, [job.query_tokens], job.test_queries)
    return Stage(
        name=f"evaluation, {job.test_queries:,} queries",
        counts=total(asked, searched.searching(job.test_queries, job.results), {"evaluation.result": rows}),
        spread=is_exact(job.backend),
        disk=RUN_LINE * rows,
        memory=PROCESS + searched.held + PER_RESULT * rows + PER_DOCUMENT * job.corpus.documents + 4 * job.size.weights,
        gpu_memory=4 * job.size.weights + MEMORY_BUDGET,
    )
