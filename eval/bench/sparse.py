"""What rounding the weights of sparse vectors costs: indexes of fewer and fewer bits, next to exact dot products of the vectors.

Shapes: N documents, Q queries, V terms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from ance_ir.datasets import Dataset
from ance_ir.digests import digest_of
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.suites import suite_of
from ance_ir.models import SparseEncoder, find_family
from ance_ir.models.loading.source import resolve
from ance_ir.pipelines import SparseIndex
from ance_ir.pipelines.bm25.documents import clean, feed
from ance_ir.pipelines.bm25.engine import K1, B
from ance_ir.ranking import rank_results

EXACT = "float32"
_BYTES = 8
"""Of a weight and its term's number, exactly."""
_RESULTS, _FIRST = 1000, 10
_BLOCK = 1024
"""Texts whose weights are computed together."""


def bench_sparse(
    dataset: Dataset,
    model: str,
    *,
    split: str | None = None,
    bits: Sequence[int] = (8, 6, 4, 3, 2),
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Search for the same queries with the weights as they are and rounded to fewer and fewer bits. All weights are held in memory.

    Args:
        dataset: the collection.
        model: a sparse encoder; of any other model the tokeniser alone is used, and each token's weight is BM25's.
        split: the queries; by default the dataset's first.
        bits: of the weights.
        device: where a sparse encoder computes.
        verbose: show progress.

    Returns:
        A row for the weights as they are and one for each number of bits: the measures of the dataset's suite; the share of the first 10
        documents that are also found exactly; the index's size in megabytes, which of the weights as they are is 8 bytes each.

    Raises:
        ModelError: there is no such model.
        MissingDependencyError: PISA is not installed.
    """
    split = split or dataset.splits[0]
    queries, texts = dataset.queries(split), list[str]()
    docnos = list(feed(map(dict, dataset.usable_documents()), lambda _, text: texts.append(clean(text).strip())))
    asked = list(map(clean, queries["query"]))
    found_NV, found_QV = _weights(model, texts, asked, device)
    known = _Known(f"weights of {dataset.name} by {model}", texts, found_NV, asked, found_QV)
    runs, sizes = {EXACT: _exact(queries, docnos, found_NV, found_QV)}, {EXACT: _BYTES * found_NV.nnz}
    with tempfile.TemporaryDirectory() as folder:
        for count in bits:
            index = SparseIndex(Path(folder) / f"{count}.splade", known, bits=count)
            index.build(({"docno": docno, "text": text} for docno, text in zip(docnos, texts, strict=True)), verbose=verbose)
            name = f"{count} bits"
            runs[name] = index.retriever(_RESULTS).transform(queries)
            sizes[name] = sum(path.stat().st_size for path in (index.folder / "pisa").iterdir())
    measured = evaluate_systems({}, queries, dataset.qrels(split), suite_of(dataset, split).measures, runs=runs)
    best = _firsts(runs[EXACT])
    return pd.DataFrame(
        {
            "weights": name,
            **{measure: float(measured.per_query[name][measure].mean()) for measure in measured.measures},
            f"same first {_FIRST}": len(best & _firsts(run)) / len(best),
            "MB": sizes[name] / 1e6,
        }
        for name, run in runs.items()
    )


class _Known(SparseEncoder):
    """An encoder of texts whose weights have been computed."""

    def __init__(self, name: str, documents: Sequence[str], found_NV: csr_array, queries: Sequence[str], found_QV: csr_array) -> None:
        self.name = name
        self.dimension = int(found_NV.shape[1])
        self._documents = {text: row for row, text in enumerate(documents)}, found_NV
        self._queries = {text: row for row, text in enumerate(queries)}, found_QV

    def fingerprint(self) -> str:
        """Of the name: an index of these weights lasts no longer than they do."""
        return digest_of(self.name)

    def encode_documents(self, texts: Sequence[str]) -> csr_array:
        """See ``SparseEncoder``."""
        rows, weights = self._documents
        return weights[[rows[text] for text in texts]]

    def encode_queries(self, texts: Sequence[str]) -> csr_array:
        """See ``SparseEncoder``."""
        rows, weights = self._queries
        return weights[[rows[text] for text in texts]]


def _weights(model: str, documents: Sequence[str], queries: Sequence[str], device: str | None) -> tuple[csr_array, csr_array]:
    """The weights of documents and queries, float32 ``[N, V]`` and ``[Q, V]``."""
    if find_family(model) == "sparse encoder":
        encoder = SparseEncoder.from_pretrained(model, device=device)
        blocks = [encoder.encode_documents(documents[first : first + _BLOCK]) for first in range(0, len(documents), _BLOCK)]
        return vstack(blocks, format="csr"), encoder.encode_queries(queries)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve(model), local_files_only=True)
    counts_NV, counts_QV = _counts(tokenizer, documents), _counts(tokenizer, queries)
    lengths_N, holding_V = counts_NV.sum(axis=1), np.bincount(counts_NV.indices, minlength=counts_NV.shape[1])
    idf_V = np.log1p((len(documents) - holding_V + 0.5) / (holding_V + 0.5))
    row = np.repeat(np.arange(len(documents)), np.diff(counts_NV.indptr))
    saturated = counts_NV.data + K1 * (1 - B + B * lengths_N[row] / lengths_N.mean())
    weights = idf_V[counts_NV.indices] * counts_NV.data * (K1 + 1) / saturated
    return csr_array((weights.astype(np.float32), counts_NV.indices, counts_NV.indptr), shape=counts_NV.shape), counts_QV


def _counts(tokenizer: Any, texts: Sequence[str]) -> csr_array:
    """How often each token is in each text, float32 ``[len(texts), V]``."""
    blocks = []
    for first in range(0, len(texts), _BLOCK):
        tokens = tokenizer(list(texts[first : first + _BLOCK]), add_special_tokens=False, verbose=False)["input_ids"]
        ends, found = np.cumsum([0, *map(len, tokens)]), np.concatenate([np.array(one, dtype=np.int64) for one in tokens])
        counts = csr_array((np.ones(len(found), dtype=np.float32), found, ends), shape=(len(tokens), len(tokenizer)))
        counts.sum_duplicates()
        blocks.append(counts)
    return vstack(blocks, format="csr")


def _exact(queries: pd.DataFrame, docnos: Sequence[str], found_NV: csr_array, found_QV: csr_array) -> pd.DataFrame:
    """The run of exact dot products: documents that share a term with the query."""
    frames, names = [], np.array(docnos, dtype=object)
    for row, (qid, query) in enumerate(zip(queries["qid"], queries["query"], strict=True)):
        scores_N = (found_NV @ found_QV[[row]].T).toarray()[:, 0]
        best = np.argsort(-scores_N, kind="stable")[: 2 * _RESULTS]  # ties beyond are cut as they come
        best = best[scores_N[best] > 0]
        frames.append(pd.DataFrame({"qid": qid, "query": query, "docno": names[best], "score": scores_N[best].astype(np.float64)}))
    return rank_results(pd.concat(frames, ignore_index=True), _RESULTS)


def _firsts(run: pd.DataFrame) -> set[tuple[str, str]]:
    return set(run.loc[run["rank"] < _FIRST, ["qid", "docno"]].itertuples(index=False, name=None))
