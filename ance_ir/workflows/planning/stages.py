"""What each stage of a job does, and what that needs: the laws by which unit costs become a plan.

Shapes in names: N passages, D dimensions, Q queries, K results of a query.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import faiss

from ance_ir.indexes.ann.filling import PIECE_BYTES
from ance_ir.indexes.ann.layers import empty_index, layers
from ance_ir.indexes.ann.parts.hnsw import held_candidates
from ance_ir.indexes.ann.parts.ivf import probed_lists
from ance_ir.indexes.ann.recipe import TRAINING_BYTES, recipe_of, training_rows
from ance_ir.indexes.ann.settings import is_exact
from ance_ir.indexes.mining.search import SAMPLE
from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.models.compute.inference import TOKEN_BUDGET
from ance_ir.workflows.planning.job import BYTES, Corpus, Job
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

RESULTS_TOGETHER = 1 << 21
"""Results, of all queries for which the vectors are read once; about as many as exact search holds in its memory."""

KMEANS = 10
"""Rounds in which Faiss finds the centres of lists."""

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
    counts: Mapping[str, float]
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
    rows = round(job.corpus.passages)
    return Stage(
        name=f"building {job.faiss.family}", counts=faiss_counts(job, rows), disk=faiss_bytes(job), memory=PROCESS + _building(job)
    )


def _building(job: Job) -> float:
    """Bytes that are held while a Faiss file is built: a graph, or a piece of an inverted file and the vectors that it learns from."""
    if not job.faiss.inverted:
        return faiss_bytes(job)
    return min(PIECE_BYTES, faiss_bytes(job)) + min(TRAINING_BYTES, 4.0 * job.dimension * job.corpus.passages)


def faiss_counts(job: Job, rows: int) -> dict[str, float]:
    """What building a Faiss file over so many vectors takes."""
    if job.faiss.graph:
        return {"faiss.hnsw": rows * job.dimension * math.log2(max(2, rows))}
    lists = _lists(job, rows)
    trained = training_rows(rows, job.dimension, lists)
    return {"faiss.ivf": (rows + KMEANS * trained) * job.dimension * lists}


def _lists(job: Job, rows: int) -> int:
    recipe = recipe_of(job.faiss, rows, job.dimension)
    return next(int(layer.nlist) for layer in layers(empty_index(recipe, job.dimension, job.faiss)) if hasattr(layer, "nlist"))


def faiss_bytes(job: Job) -> float:
    """Bytes of a Faiss file, which is also the memory that it takes."""
    rows = round(job.corpus.passages)
    found = 0.0
    for layer in layers(empty_index(recipe_of(job.faiss, rows, job.dimension), job.dimension, job.faiss)):
        if hasattr(layer, "hnsw"):
            links = layer.hnsw.nb_neighbors(0) + 1  # one in the levels above, on average
            found += rows * (faiss.downcast_index(layer.storage).sa_code_size() + 4 * links + 12)
        elif hasattr(layer, "nlist"):
            found += rows * (layer.code_size + 8) + 4 * layer.nlist * job.dimension
            found += 4 * layer.pq.ksub * job.dimension if hasattr(layer, "pq") else 0
    return found


def _search(job: Job, queries: float, results: int) -> dict[str, float]:
    """Exact search."""
    components = job.corpus.passages * job.dimension
    return {
        "search.component": math.ceil(queries * results / RESULTS_TOGETHER) * components,
        "search.product": queries * components,
        "search.result": queries * results,
    }


def _asking(job: Job, queries: float) -> dict[str, float]:
    """Queries are encoded."""
    operations = job.size.operations([job.query_tokens])
    return {"encoding.token": queries * job.query_tokens, "encoding.passage": queries, "encoding.operation": queries * operations}


def mining(job: Job) -> Stage:
    """Each refresh encodes the corpus and the queries, searches, and keeps candidates."""
    exact, mined = is_exact(job.mining_backend), replace(job, backend=job.mining_backend)
    searched = [_search(job, job.queries if exact else min(SAMPLE, job.queries), job.depth)]  # a sample tells what was missed
    if not exact:
        searched += [faiss_counts(mined, round(job.corpus.passages)), faiss_search(mined, job.queries)]
    once = _sum(encoding(job).counts, _asking(job, job.queries), *searched, {"mining.candidate": job.queries * job.depth})
    kept = 8.0 * job.queries * job.depth
    held = PER_QUERY * job.queries + kept + 4 * job.size.weights + PER_DOCUMENT * job.corpus.documents
    return Stage(
        name=f"mining, {job.refreshes} ×",
        counts={name: job.refreshes * count for name, count in once.items()},
        spread=True,
        disk=encoding(job).disk + (0.0 if exact else faiss_bytes(mined)) + job.refreshes * kept,
        memory=PROCESS + held + (MEMORY_BUDGET if exact else max(MEMORY_BUDGET, _building(mined))),
        gpu_memory=max(_encoder(job), 4 * job.size.weights + MEMORY_BUDGET),
    )


def _training(job: Job, *, gpu: bool) -> Stage:
    memory = training_memory(job)
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
    exact = is_exact(job.backend)
    found = _search(job, job.test_queries, job.results) if exact else faiss_search(job, job.test_queries)
    held = MEMORY_BUDGET if exact else faiss_bytes(job)
    return Stage(
        name=f"evaluation, {job.test_queries:,} queries",
        counts={**_asking(job, job.test_queries), **found, "evaluation.result": rows},
        spread=exact,
        disk=60.0 * rows,  # a run's line
        memory=PROCESS + held + PER_RESULT * rows + PER_DOCUMENT * job.corpus.documents + 4 * job.size.weights,
        gpu_memory=4 * job.size.weights + MEMORY_BUDGET,
    )


def faiss_search(job: Job, queries: float) -> dict[str, float]:
    """Search of a Faiss file, with its defaults."""
    rows = round(job.corpus.passages)
    if job.faiss.graph:
        return {"faiss.hnsw_query": queries * job.dimension * held_candidates(rows) * math.log2(max(2, rows))}
    lists = _lists(job, rows)
    return {"faiss.scan": queries * job.dimension * (lists + rows * probed_lists(lists) / lists)}


def _sum(*counts: Mapping[str, float]) -> dict[str, float]:
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: sum(one.get(name, 0.0) for one in counts) for name in names}
