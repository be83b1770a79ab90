"""Adaptive retrieval next to reranking and dense retrieval: effectiveness on a collection, and what a query costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.eval.bench.rounds import alternate, medians
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.suites import suite_of
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.precision import Precision
from ance_ir.pipelines import GAR, LADR, AdaptiveLADR, dataset_bm25
from ance_ir.pipelines.systems.cache import dataset_dense

ALL = 10_000
"""More documents than any of them scores."""


def bench_adaptive(
    dataset: Dataset,
    model: str,
    *,
    split: str | None = None,
    depths: Sequence[int] = (20, 50, 100),
    neighbours: int = 16,
    length: int = 128,
    layers: int | None = None,
    precision: Precision | None = None,
    rounds: int = 3,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Rerank BM25's first documents by their vectors, alone and with those that adaptive retrieval adds; and retrieve by vectors alone.

    The index and its graph are built in the cache folder on first use.

    Args:
        dataset: the collection.
        model: the encoder.
        split: the queries; by default the dataset's first.
        depths: documents of BM25.
        neighbours: of a document, in the graph.
        length: tokens that a text is cut to.
        layers: of the encoder that are kept; 0, its embeddings alone, is quick; ``None``: all.
        precision: of encoding.
        rounds: that count.
        device: where to encode.
        verbose: show progress.

    Returns:
        A row for each system: BM25's documents; documents that are scored for a query, in the mean; the measures of the dataset's suite;
        milliseconds of a query alone, without BM25 and without encoding it (medians of the rounds).
    """
    encoder = DenseEncoder.from_pretrained(model, device=device, layers=layers, precision=precision, passage_length=length)
    index = dataset_dense(dataset, encoder, FirstP(), verbose=verbose)
    index.corpus_graph(neighbours, device=str(encoder.device), verbose=verbose)
    split = split or dataset.splits[0]
    queries, bm25 = encoder.queries().transform(dataset.queries(split)), dataset_bm25(dataset).retriever(max(depths))
    found = {depth: (bm25 % depth).transform(queries) for depth in depths}
    systems: dict[tuple[str, str], pt.Transformer] = {("", "dense alone"): index.retriever(encoder, ALL, check=False) % max(depths)}
    systems |= {(str(depth), name): stage for depth in depths for name, stage in contenders(index, encoder, neighbours, depth).items()}
    inputs = {key: found[int(key[0])] if key[0] else queries for key in systems}
    evaluated = evaluate_systems(
        {_name(key): (bm25 % int(key[0]) >> stage if key[0] else stage) for key, stage in systems.items()},
        queries,
        dataset.qrels(split),
        suite_of(dataset, split).measures,
        verbose=verbose,
    )
    seconds = medians(alternate({_name(key): partial(each_query, stage, inputs[key]) for key, stage in systems.items()}, rounds))
    rows = []
    for key in systems:
        run, name = evaluated.runs[_name(key)], _name(key)
        about = {"bm25 %": key[0], "system": key[1], "scored": len(run) / run["qid"].nunique() if key[0] else float(len(index))}
        means = {measure: float(evaluated.per_query[name][measure].mean()) for measure in evaluated.measures}
        rows.append({**about, **means, "ms, 1 query": 1000 * seconds[name] / queries["qid"].nunique()})
    return pd.DataFrame(rows)


def contenders(
    index: AnceIndex, encoder: DenseEncoder, neighbours: int, depth: int, backend: str = "exact"
) -> Mapping[str, pt.Transformer]:
    """Second stages that score what a first stage found; GAR with the same budget as reranking, and with a larger one."""
    graph: Any = {"neighbours": neighbours, "graph_backend": backend, "check": False}
    return {
        "rerank": index.scorer(encoder, check=False),
        f"gar:{depth},16": GAR(index, encoder, ALL, budget=depth, batch_size=16, **graph),
        "gar": GAR(index, encoder, ALL, **graph),
        "ladr": LADR(index, encoder, ALL, **graph),
        "adaptive-ladr:50": AdaptiveLADR(index, encoder, ALL, depth=50, **graph),
    }


def _name(key: tuple[str, str]) -> str:
    return f"bm25 % {key[0]} >> {key[1]}" if key[0] else key[1]


def each_query(stage: pt.Transformer, frame: pd.DataFrame) -> None:
    """Run a stage for each query alone."""
    for _, rows in frame.groupby("qid", sort=False):
        stage.transform(rows)
