"""What ANCE gains over another dense retriever remains with more documents, fewer dimensions and approximate search.

The paper has gains in a commercial search engine with 250 million and 8 billion documents, 768 and 64 dimensions, exact and ANN search.
Here the collection is thinned (documents that are judged relevant stay), and the 64 dimensions are the principal ones of the vectors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.errors import UsageError
from ance_ir.eval import Table, evaluate, suite_of
from ance_ir.eval.measures import judged_split
from ance_ir.indexes import AnceIndex, DenseRetriever
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Claim, tested
from ance_ir.paper.pictures import dots_picture

_SHARES = (0.1, 0.3, 1.0)
_DIMENSIONS = 64
_SEARCHES = ("exact", "hnsw")
_SAMPLE, _DEPTH, _RESAMPLES = 50_000, 100, 2000


def measure(asked: Asked) -> dict[str, Any]:
    """The measure of each query, by system and cell: documents, dimensions, search."""
    queries, qrels = judged_split(asked.dataset, asked.split)
    name = suite_of(asked.dataset, asked.split).measures[0]
    relevant = sorted(set(qrels["docno"][qrels["label"] > 0]))
    values: dict[str, dict[str, list[float]]] = {}
    for text, (system, retriever) in [(text, asked.dense(text)) for text in asked.texts("system")]:
        if len(retriever.index) != len(retriever.index.vectors):
            raise UsageError(f"{text}: an index with one passage a document was expected")
        ranked = partial(_values, retriever, queries, qrels, name)
        values[system] = {}
        sizes = {len(kept): kept for share in _SHARES for kept in [_thinned(retriever.index, relevant, share, asked.seed)]}
        for size, kept in sizes.items():
            values[system] |= asked.once(f"gains-{size}", [retriever], partial(_cells, retriever, queries, kept, ranked))
    return {"measure": name, "qids": queries["qid"].tolist(), "values": values}


def _thinned(index: SearchableIndex, relevant: list[str], share: float, seed: int) -> np.ndarray:
    """Numbers of the documents that stay, int64, ascending: the relevant ones, and others drawn at random."""
    keys = np.random.default_rng(seed).random(len(index))
    numbers = index.numbers(relevant)
    numbers = numbers[numbers >= 0]
    keys[numbers] = -1.0  # smaller collections are parts of larger ones
    return np.sort(np.argsort(keys, kind="stable")[: max(len(numbers), round(share * len(index)))])


def _cells(retriever: DenseRetriever, queries: pd.DataFrame, kept: np.ndarray, ranked: Any) -> dict[str, list[float]]:
    """Each combination of dimensions and search over some of the documents."""
    index = retriever.index
    queries_QD = retriever.model.encode_queries(queries["query"].tolist())
    mean_D, basis_DP = _principal(index)
    found = {}
    for basis in (None, basis_DP):
        projected = queries_QD if basis is None else queries_QD @ basis
        with tempfile.TemporaryDirectory() as folder:
            smaller = AnceIndex(Path(folder) / "x.ance").index(_rows(index, kept, mean_D, basis))
            for search in _SEARCHES:
                scores, numbers = smaller.search_vectors(np.ascontiguousarray(projected), _DEPTH, smaller.searcher(search))
                found[f"{len(kept)}, {projected.shape[1]}, {search}"] = ranked(smaller, scores, numbers)
    return found


def _principal(index: SearchableIndex) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the documents' vectors, and their first principal axes, float32 ``[D]`` and ``[D, P]``."""
    rows = np.linspace(0, len(index.vectors) - 1, min(_SAMPLE, len(index.vectors))).astype(np.int64)
    vectors = index.vectors.get(rows)
    mean_D = vectors.mean(axis=0)
    axes_DD = np.linalg.eigh(np.cov((vectors - mean_D).T))[1]
    count = min(_DIMENSIONS, vectors.shape[1] // 2)
    return mean_D, np.ascontiguousarray(axes_DD[:, ::-1][:, :count], dtype=np.float32)


def _rows(index: SearchableIndex, kept: np.ndarray, mean_D: np.ndarray, basis: np.ndarray | None) -> Iterator[dict[str, Any]]:
    """Rows of a new index. Subtracting the mean changes no ranking."""
    for block in np.array_split(kept, max(1, len(kept) // 4096)):
        vectors = index.vectors.get(block) if basis is None else (index.vectors.get(block) - mean_D) @ basis
        yield from ({"docno": docno, "doc_vec": vector} for docno, vector in zip(index.docnos(block), vectors, strict=True))


def _values(
    retriever: DenseRetriever,
    queries: pd.DataFrame,
    qrels: pd.DataFrame,
    name: str,
    index: AnceIndex,
    scores: np.ndarray,
    numbers: np.ndarray,
) -> list[float]:
    """The measure of each query."""
    query, place = np.nonzero(numbers >= 0)
    run = pd.DataFrame(
        {
            "qid": queries["qid"].to_numpy()[query],
            "docno": index.docnos(numbers[query, place]),
            "score": scores[query, place].astype(float),
        }
    )
    found = evaluate(run, qrels, [name]).iloc[:, 0]
    return [float(value) for value in found.reindex(queries["qid"], fill_value=0.0)]


def show(found: Mapping[str, Any]) -> Shown:
    """The gain in each cell, with its interval, and whether it is there."""
    (old, before), (new, after) = found["values"].items()
    name, qids = found["measure"], pd.Index(found["qids"], name="qid")
    rows, dots, claims = [], {}, []
    per_query: dict[str, pd.DataFrame] = {}
    for cell in before:
        gain, low, high = _gain(np.array(after[cell]), np.array(before[cell]))
        means = [float(np.mean(values[cell])) for values in (before, after)]
        rows.append([*cell.split(", "), *(f"{value:.4f}" for value in means), f"{gain:+.1f} % [{low:+.1f}, {high:+.1f}]"])
        documents, dimensions, search = cell.split(", ")
        label = f"{int(documents):,} documents, {dimensions} dimensions, {search}"
        dots[label] = [gain, low, high]
        pair = {f"{old}, {label}": before[cell], f"{new}, {label}": after[cell]}
        per_query |= {system: pd.DataFrame({name: values}, index=qids) for system, values in pair.items()}
        claims.append(Claim(expected=f"{new} is better than {old} with {label}", higher=f"{new}, {label}", lower=f"{old}, {label}"))
    header = ["documents", "dimensions", "search", old, new, "gain [95 % interval]"]
    return Shown(
        tables={f"{name} over {len(qids):,} queries": Table(header=header, rows=rows, left=3)},
        outcomes=tested(per_query, claims),
        picture=dots_picture({f"gain in {name}, %": dots}, reference=0.0, one_colour=True),
    )


def _gain(after: np.ndarray, before: np.ndarray) -> tuple[float, float, float]:
    """The gain in the mean in percent, and its 95 % interval by paired bootstrap."""
    drawn = np.random.default_rng(0).integers(len(after), size=(_RESAMPLES, len(after)))
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = 100 * (after[drawn].mean(axis=1) / before[drawn].mean(axis=1) - 1)
        low, high = np.nanquantile(gains, [0.025, 0.975])
        return float(100 * (after.mean() / before.mean() - 1)), float(low), float(high)


ANALYSIS = Analysis(
    covers="figure 4",
    needs={"system": Need(what="two dense systems, an index each; first the one that the other is to exceed", least=2, most=2)},
    choices=("split", "seed"),
    measure=measure,
    show=show,
)
