"""Unit costs, measured on the machine at hand with small work of each kind."""

from __future__ import annotations

import itertools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir import __version__
from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.frames import queries_frame
from ance_ir.errors import UsageError
from ance_ir.indexes import AnceIndex, FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.size import Size
from ance_ir.pipelines import BM25Index
from ance_ir.processes import usable_cpus
from ance_ir.workflows.planning.job import SPECIAL
from ance_ir.workflows.planning.machine import UNITS, Cost, Machine
from ance_ir.workflows.planning.measuring import Clock, Found, Stopwatch, Texts, two_costs
from ance_ir.workflows.planning.unit_searches import faiss_costs, result_costs, search_costs
from ance_ir.workflows.planning.unit_steps import step_costs

SHORT, LONG = 40, 320
"""Words of a document: two lengths tell what a document costs from what its tokens do."""

MORE_TEXTS = 5
"""Times as many documents are written as are encoded, which takes longer."""

QUERIES, QUERY_WORDS = 100, 6

LONGEST = 512
"""Tokens of a passage."""

LEAST = {"documents": 200, "vectors": 2000}

_GIB = 1 << 30


def measure_units(
    dataset: Dataset,
    model: str,
    *,
    documents: int = 1000,
    vectors: int = 20_000,
    layers: int | None = None,
    device: str | None = None,
    clock: Clock = time.perf_counter,
    verbose: bool = False,
) -> Machine:
    """Measure what units of work cost here.

    Args:
        dataset: its words make the texts.
        model: the encoder.
        documents: that are encoded; five times as many are written and indexed for BM25.
        vectors: random ones, that are searched; a third of them for Faiss.
        layers: of the encoder that are kept; ``None``: all.
        device: where to compute.
        clock: what is measured, seconds; ``processor_seconds`` where other work must not count.
        verbose: show progress.

    Returns:
        This machine.

    Raises:
        UsageError: too few documents or vectors, or the dataset has too few words.
    """
    for name, number in (("documents", documents), ("vectors", vectors)):
        if number < LEAST[name]:
            raise UsageError(f"{name} to measure with are at least {LEAST[name]:,}, not {number}")
    encoder = DenseEncoder.from_pretrained(model, device=device, layers=layers, passage_length=LONGEST)
    watch = Stopwatch(clock)
    found: Found = {}
    with tempfile.TemporaryDirectory() as name, tqdm(total=6, desc="units", disable=not verbose) as bar:
        folder = Path(name)
        words = _words(dataset)
        short, long = (_texts(words, length, MORE_TEXTS * documents, folder, encoder) for length in (SHORT, LONG))
        some, longer = short.first(documents, folder), long.first(documents * SHORT // LONG, folder)
        asked = [(f"q{number}", " ".join(itertools.islice(words, QUERY_WORDS))) for number in range(QUERIES)]
        queries = queries_frame(asked)
        parts: list[Callable[[], Found]] = [
            lambda: _documents(short, long, folder, watch),
            lambda: _bm25(short, long, queries, folder, watch),
            lambda: _encoding(encoder, some, longer, folder, watch),
            lambda: {**search_costs(vectors, encoder, folder, watch), **faiss_costs(vectors // 3, encoder.dimension, folder, watch)},
            lambda: result_costs(AnceIndex(folder / "short.ance"), encoder, some.store, queries, watch),
            lambda: step_costs(encoder, some, queries, watch),
        ]
        for part in parts:
            found |= part()
            bar.update()
    about = f"ance-ir bench units, ance_ir {__version__}, {model}, {dataset.name}, {time.strftime('%Y-%m-%d')}"
    return _machine(found, encoder.device, about)


def _machine(found: Found, device: torch.device, source: str) -> Machine:
    on_gpu = device.type == "cuda"
    gpu = torch.cuda.get_device_properties(device) if on_gpu else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    described = f"{usable_cpus()} cores of {platform.machine()}, {memory:.0f} GiB" + (f", {gpu.name}" if gpu else "")
    return Machine(
        describes=described,
        memory=round(memory, 1),
        gpu_memory=round(gpu.total_memory / _GIB, 1) if gpu else 0.0,
        dollars=0.0,
        source=source,
        costs={name: Cost(seconds=found[name][0], unit=UNITS[name], source=source, bytes=found[name][1]) for name in UNITS},
    )


def _words(dataset: Dataset) -> Iterator[str]:
    """The words of a dataset, from its beginning on, without end."""
    some = [document["text"].split() for document in itertools.islice(dataset.usable_documents(), 20 * LONG)]
    words = list(itertools.chain.from_iterable(some))
    if len(words) < LONG:
        raise UsageError(f"{dataset.name}: texts of {LONG} words and more are made of its words, and it has {len(words)}")
    return itertools.cycle(words)


def _texts(words: Iterator[str], length: int, count: int, folder: Path, encoder: DenseEncoder) -> Texts:
    texts = [" ".join(itertools.islice(words, length)) for _ in range(count)]
    return Texts.written(texts, [*map(len, encoder.tokenizer.bare(texts))], folder)


def _of_lengths(short: Texts, long: Texts, values: Sequence[float]) -> tuple[float, float]:
    """What a document costs, and a token, from what a single document, the short ones and the long ones cost."""
    begun, *others = values
    works = [(len(texts.lengths), sum(texts.lengths), max(0.0, value - begun)) for texts, value in zip((short, long), others, strict=True)]
    return two_costs(works[0], works[1])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write(dataset: Dataset, folder: Path) -> None:
    DocumentStore.build(dataset.usable_documents(), folder)


def _documents(short: Texts, long: Texts, folder: Path, watch: Stopwatch) -> Found:
    all_texts = [short.first(1, folder), short, long]
    seconds = [watch(_write, texts.dataset, folder / "again") for texts in all_texts]
    of_time, of_disk = (_of_lengths(short, long, values) for values in (seconds, [_size(texts.store.folder) for texts in all_texts]))
    return {"store.begin": (seconds[0], 0.0), "store.document": (of_time[0], of_disk[0]), "store.token": (of_time[1], of_disk[1])}


def _bm25(short: Texts, long: Texts, queries: pd.DataFrame, folder: Path, watch: Stopwatch) -> Found:
    stores = {"one": short.first(1, folder).store, "short": short.store, "long": long.store}
    paths = {name: folder / f"{name}.bm25" for name in stores}
    seconds = [watch(_index_terms, paths[name], store) for name, store in stores.items()]
    of_time, of_disk = (_of_lengths(short, long, values) for values in (seconds, [*map(_size, paths.values())]))
    asked = []
    for name in ("one", "short"):
        retriever = BM25Index(paths[name], engine="pisa").retriever(100)
        retriever.transform(queries)
        asked.append((len(queries), len(queries) * len(stores[name]), watch(retriever.transform, queries)))
    per_query, per_pair = two_costs(asked[0], asked[1])
    return {
        "bm25.begin": (seconds[0], 0.0),
        "bm25.document": (of_time[0], of_disk[0]),
        "bm25.token": (of_time[1], of_disk[1]),
        "bm25.query": (per_query, 0.0),
        "bm25.query_document": (per_pair, 0.0),
    }


def _index_terms(path: Path, store: DocumentStore) -> None:
    BM25Index(path, engine="pisa", overwrite=True).index(iter(store))


def _encoding(encoder: DenseEncoder, short: Texts, long: Texts, folder: Path, watch: Stopwatch) -> Found:
    """By what the second half of a corpus takes: a graph may have to be compiled before the first text, if there are many."""
    size = Size.of(encoder.passage_tower)
    per_token = watch(encoder.tokenizer.cut, long.texts, FirstP()) / sum(long.lengths)
    begun, works = 0.0, []
    for name, texts in (("short", short), ("long", long)):
        half = texts.first(len(texts.texts) // 2, folder)
        first, both = (
            watch(index_corpus, folder / f"{name}.ance", encoder, part.store, FirstP(), overwrite=True) for part in (half, texts)
        )
        more = texts.lengths[len(half.lengths) :]
        encoded = [min(length + SPECIAL, LONGEST) for length in more]
        works.append((len(more), size.operations(encoded), max(0.0, both - first - per_token * sum(more))))
        begun = begun or max(0.0, 2 * first - both)
    per_passage, per_operation = two_costs(works[0], works[1])
    found = {"begin": begun, "token": per_token, "passage": per_passage, "operation": per_operation}
    return {f"encoding.{name}": (seconds, 0.0) for name, seconds in found.items()}
