"""Unit costs measured here, against what work of two larger sizes takes: processor time, so that other work does not decide."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import DocumentStore, load_dataset
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.indexes.ann.build import build_faiss
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.size import Size
from ance_ir.pipelines import BM25Index
from ance_ir.processes import processor_seconds
from ance_ir.training import DenseObjective, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.step import take_step
from ance_ir.workflows.planning.job import Corpus, Job
from ance_ir.workflows.planning.machine import Machine
from ance_ir.workflows.planning.measuring import Stopwatch
from ance_ir.workflows.planning.searching import Searched
from ance_ir.workflows.planning.stages import stages, step_counts
from ance_ir.workflows.planning.unit_searches import faiss_costs, random_vectors
from ance_ir.workflows.planning.units import measure_units

pytestmark = pytest.mark.large

MODEL, LAYERS = "all-MiniLM-L6-v2", 1
ASKED, RESULTS = 300, 100


@pytest.fixture(scope="module")
def units() -> Machine:
    return measure_units(load_dataset("python-stdlib"), MODEL, documents=800, vectors=40_000, layers=LAYERS, clock=processor_seconds)


def took(work: Callable[[], Any]) -> float:
    """The least of two runs, as units are measured."""

    def once() -> float:
        began = processor_seconds()
        work()
        return processor_seconds() - began

    return min(once(), once())


def running_texts(count: int) -> list[str]:
    """The first documents, without the white space of code."""
    return [" ".join(document["text"].split()) for document in itertools.islice(load_dataset("python-stdlib").usable_documents(), count)]


def planned(units: Machine, model: DenseEncoder, texts: list[str]) -> dict[str, float]:
    """Seconds of each stage."""
    corpus = Corpus(
        documents=len(texts),
        tokens=sum(map(len, model.tokenizer.bare(texts))) / len(texts),
        lengths=[len(ids) for ids in model.tokenizer.passages(texts)],
        sampled=len(texts),
    )
    job = Job(corpus=corpus, size=Size.of(model.passage_tower), dimension=model.dimension, test_queries=0)
    return {stage.name: units.seconds(stage.counts) for stage in stages(job, gpu=False)}


@pytest.mark.parametrize("documents", [8_000, 24_000])
def test_documents_and_bm25_take_what_is_planned(units: Machine, documents: int, tmp_path: Path) -> None:
    texts = list(itertools.islice(itertools.cycle(running_texts(2000)), documents))
    found = planned(units, DenseEncoder.from_pretrained(MODEL, layers=LAYERS), texts)
    lines = (json.dumps({"docno": f"d{number}", "text": text}) + "\n" for number, text in enumerate(texts))
    (tmp_path / "corpus.jsonl").write_text("".join(lines))
    dataset = load_dataset(tmp_path)
    writing = took(lambda: DocumentStore.build(dataset.usable_documents(), tmp_path / "documents"))
    assert found["documents"] == pytest.approx(writing, rel=0.25)
    store = DocumentStore(tmp_path / "documents")
    assert found["BM25"] == pytest.approx(took(lambda: BM25Index(tmp_path / "x.bm25", overwrite=True).index(iter(store))), rel=0.25)


@pytest.mark.parametrize("documents", [1000, 3000])
def test_encoding_takes_what_is_planned(units: Machine, documents: int, tmp_path: Path) -> None:
    model, texts = DenseEncoder.from_pretrained(MODEL, layers=LAYERS, passage_length=128), running_texts(documents)
    store = DocumentStore.build(({"docno": f"d{number}", "text": text} for number, text in enumerate(texts)), tmp_path / "documents")
    encoding = took(lambda: index_corpus(tmp_path / "x.ance", model, store, FirstP(), overwrite=True))
    assert planned(units, model, texts)["encoding"] == pytest.approx(encoding, rel=0.25)


@pytest.mark.parametrize("rows", [40_000, 120_000])
def test_exact_search_takes_what_is_planned(units: Machine, rows: int, tmp_path: Path) -> None:
    store = random_vectors(rows, 384, tmp_path / "vectors")
    searcher = ExactSearcher(store, lambda found: found)
    corpus = Corpus(documents=rows, tokens=0, lengths=[0])
    job = Job(corpus=corpus, size=Size(layers=0, width=384, matrices=0, weights=0), dimension=384, test_queries=ASKED, results=RESULTS)
    counts = {name: count for name, count in list(stages(job, gpu=False))[-1].counts.items() if name.startswith("search.")}
    queries_QD = store.get(np.arange(ASKED))
    searcher.search(queries_QD, RESULTS)
    assert units.seconds(counts) == pytest.approx(took(lambda: searcher.search(queries_QD, RESULTS)), rel=0.25)


@pytest.fixture(scope="module")
def of_graph(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The unit of building a graph, by one of 13,333 vectors."""
    return faiss_costs(13_333, 384, tmp_path_factory.mktemp("faiss"), Stopwatch(processor_seconds))["faiss.hnsw"][0]


@pytest.mark.parametrize("rows", [20_000, 40_000])
def test_a_graph_takes_to_build_what_is_planned(of_graph: float, rows: int, tmp_path: Path) -> None:
    store, backend = random_vectors(rows, 384, tmp_path / "vectors"), "hnsw+sq8"
    began = processor_seconds()
    build_faiss(store, tmp_path / "vectors", parse_backend(backend))
    seconds = processor_seconds() - began
    planned = of_graph * Searched(rows=rows, dimension=384, backend=backend).building["faiss.hnsw"]
    print(rows, planned, seconds)
    assert planned == pytest.approx(seconds, rel=0.25)


@pytest.mark.parametrize("batch_size", [4, 24])
def test_a_step_takes_what_is_planned(units: Machine, batch_size: int, tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(MODEL, layers=LAYERS, query_length=16)
    texts = [" ".join(text.split()[:50]) for text in running_texts(100)]
    store = DocumentStore.build(({"docno": f"d{number}", "text": text} for number, text in enumerate(texts)), tmp_path / "documents")
    own = [np.array([number]) for number in range(batch_size)]
    names = [f"q{number}" for number in range(batch_size)]
    queries = TrainingQueries(qids=names, texts=texts[:batch_size], positives=own, excluded=own, documents=100)
    settings = TrainingSettings(steps=1, batch_size=batch_size)
    objective = DenseObjective(model, queries, store, FirstP())
    optimiser, batches = make_optimiser(model, settings), Batches(queries, RandomNegatives(queries), settings)

    def step() -> None:
        take_step(objective, batches.of_step(0), settings, optimiser, dropout=0, rounding=0)

    step()
    lengths = [len(ids) for ids in model.tokenizer.passages(texts)]
    corpus = Corpus(documents=100, tokens=0, lengths=lengths, sampled=100)
    size = Size.of(model.passage_tower)
    job = Job(corpus=corpus, size=size, dimension=model.dimension, query_tokens=16, batch_size=batch_size)
    assert units.seconds(step_counts(job)) == pytest.approx(took(step), rel=0.25)
