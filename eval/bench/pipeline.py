"""The cost of each part of a pipeline on this machine: the efficiency table of the paper (Xiong et al., 2021, figure 6)."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.loader import TextLoader
from ance_ir.eval.bench.rounds import alternate, medians
from ance_ir.indexes import AnceIndex, FirstP, index_corpus
from ance_ir.indexes.ann.build import build_faiss
from ance_ir.indexes.ann.settings import FaissSettings, resolve
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.pipelines import BertReranker, BM25Index

PAPER = {
    "encoding": "10 h, 4.5 ms a document",
    "ANN index build": "10 s",
    "BM25": "37 ms",
    "rerank": "1.15 s",
    "cascade": "1.42 s",
    "query encoding": "2.6 ms",
    "ANN search": "9 ms",
    "ANN total": "11.6 ms",
}
"""Latency is a query's, for 100 documents."""


@dataclass(frozen=True, kw_only=True)
class _Models:
    """The models of the pipelines."""

    dense: DenseEncoder
    reranker: CrossEncoder


def bench_pipeline(
    dataset: Dataset,
    model: str,
    *,
    reranker: str | None = None,
    documents: int = 1000,
    queries: int = 8,
    depth: int = 100,
    length: int = 128,
    backend: str = "hnsw",
    rounds: int = 3,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Time the parts of BM25, of BM25 with a reranker, and of dense retrieval, in turn.

    Args:
        dataset: whose first documents and queries.
        model: the dense model.
        reranker: the cross-encoder; by default the dense model's backbone with a fresh head, which costs as much as a trained one.
        documents: how many are indexed.
        queries: how many.
        depth: documents that are found for a query, and reranked.
        length: tokens that a passage, or a pair of a query and a document, is cut to.
        backend: what searches the vectors; see ``indexes.ann.settings``.
        rounds: that count; the parts take turns in each.
        device: where models compute.
        verbose: show progress.

    Returns:
        A row for each part. Of those that come before any query: ``seconds`` in all and ``ms/document``. Of the others: milliseconds a
        query alone (``ms, 1 query``) and together (``ms, N queries``). NaN where this does not apply. Medians over the
        rounds; ``paper`` has the figures of the paper. A total is measured, not added up.

    Raises:
        UsageError: there is no such backend, or the models do not take texts of that length.
    """
    fresh_head = None if reranker else "logit"
    models = _Models(
        dense=DenseEncoder.from_pretrained(model, device=device, passage_length=length),
        reranker=CrossEncoder.from_pretrained(reranker or model, fresh_head=fresh_head, device=device, pair_length=length),
    )
    asked = dataset.queries(dataset.splits[0]).head(queries)[["qid", "query"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = DocumentStore.build(itertools.islice(dataset.usable_documents(), documents), folder / "documents", verbose=verbose)
        settings = resolve(folder, backend)
        offline = alternate(_offline(folder, store, models, settings), rounds)
        online = _online(folder, store, models, backend, depth)
        found = online["BM25"].transform(asked)
        seconds = alternate(_asked(online, asked, found), rounds)
    counts = {"documents": len(store), "queries": len(asked), "reranked": round(len(found) / len(asked))}
    return _table(medians(offline), medians(seconds), list(online), **counts)


def _table(
    offline: Mapping[str, float], online: Mapping[str, float], parts: Sequence[str], *, documents: int, queries: int, reranked: int
) -> pd.DataFrame:
    """The table of ``bench_pipeline``, from seconds."""
    together = f"ms, {queries} queries"
    rows: list[dict[str, Any]] = [
        {"part": part, "seconds": seconds, "ms/document": 1000 * seconds / documents, "paper": PAPER.get(part, "")}
        for part, seconds in offline.items()
    ]
    for part in parts:
        alone, all_ = (1000 * online[f"{part}, {how}"] / queries for how in ("alone", "together"))
        shown = f"{part} of {reranked}" if part == "rerank" else part
        rows.append({"part": shown, "ms, 1 query": alone, together: all_, "paper": PAPER.get(part, "")})
    return pd.DataFrame(rows, columns=["part", "seconds", "ms/document", "ms, 1 query", together, "paper"])


def _offline(folder: Path, store: DocumentStore, models: _Models, settings: FaissSettings | None) -> dict[str, Callable[[], Any]]:
    def encode() -> None:
        index_corpus(folder / "x.ance", models.dense, store, FirstP(), overwrite=True)

    def build() -> None:
        assert settings is not None
        (folder / "faiss").mkdir(exist_ok=True)
        build_faiss(AnceIndex(folder / "x.ance").vectors, folder / "faiss", settings)

    bm25 = {"BM25 build": lambda: BM25Index(folder / "x.bm25", overwrite=True).index(iter(store))}
    return {**bm25, "encoding": encode, **({"ANN index build": build} if settings is not None else {})}


def _online(folder: Path, store: DocumentStore, models: _Models, backend: str, depth: int) -> dict[str, pt.Transformer]:
    bm25 = BM25Index(folder / "x.bm25").retriever(depth)
    reranker = TextLoader(lambda **_: store, models.reranker.settings.fields) >> BertReranker(models.reranker)
    encoder = models.dense.queries()
    ann = AnceIndex(folder / "x.ance").retriever(models.dense, depth, backend=backend)
    return {
        "BM25": bm25,
        "rerank": reranker,
        "cascade": bm25 >> reranker,
        "query encoding": encoder,
        "ANN search": ann,
        "ANN total": ann,
    }


def _asked(online: Mapping[str, pt.Transformer], queries: pd.DataFrame, found: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """Each part over all queries, one by one and together, on the results of the part before it."""
    vectors = online["query encoding"].transform(queries)
    inputs = {"rerank": found, "ANN search": vectors}
    runs: dict[str, Callable[[], Any]] = {}
    for part, transformer in online.items():
        frame = inputs.get(part, queries)
        one_by_one = [rows for _, rows in frame.groupby("qid", sort=False)]
        runs[f"{part}, alone"] = partial(_each, transformer, one_by_one)
        runs[f"{part}, together"] = partial(transformer.transform, frame)
    return runs


def _each(transformer: pt.Transformer, frames: list[pd.DataFrame]) -> None:
    for frame in frames:
        transformer.transform(frame)
