"""The negatives that a dense retriever meets lie near the relevant documents; those of BM25 and random ones lie apart from them.

The paper shows it with t-SNE, for a query in figure 1 and for others in figures 10 and 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.errors import EvaluationError
from ance_ir.eval import Table
from ance_ir.eval.measures import judged_split
from ance_ir.eval.report.pictures import Picture, legend_below
from ance_ir.eval.report.strokes import BLACK, look
from ance_ir.indexes import DenseRetriever
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.optional import optional
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Claim, tested

_QUERIES, _SHOWN, _DEPTH = 200, 3, 100
_KINDS = ("dense negatives", "BM25 negatives", "random negatives")
_DISTANCE = "distance to the nearest relevant document"


def measure(asked: Asked) -> dict[str, Any]:
    """For each query the mean distance of each kind of negatives; for the first ones points in the plane, ``[x, y]`` by kind."""
    _, retriever = asked.dense(asked.texts("system")[0], 2 * _DEPTH)
    queries, qrels = judged_split(asked.dataset, asked.split)
    relevant = qrels[qrels["label"] > 0].groupby("qid")["docno"].agg(list)
    qids = asked.drawn((qid for qid in queries["qid"] if qid in relevant.index), _QUERIES)
    chosen = queries.set_index("qid").loc[qids].reset_index()
    rankings = [_ranking(found) for found in ((retriever % (2 * _DEPTH)).transform(chosen), asked.bm25.transform(chosen))]
    rng = np.random.default_rng(asked.seed)
    distances: list[list[Any]] = []
    shown: list[dict[str, Any]] = []
    for qid, text in chosen[["qid", "query"]].itertuples(index=False):
        drawn = retriever.index.docnos(rng.integers(len(retriever.index), size=_DEPTH)).tolist()
        known = set(relevant[qid])
        found = [*(ranking.get(qid, []) for ranking in rankings), drawn]
        sets = [[docno for docno in docnos if docno not in known][:_DEPTH] for docnos in found]
        vectors = [_vectors(retriever.index, docnos) for docnos in (relevant[qid], *sets)]
        if not all(map(len, vectors)):
            continue
        distances.append([qid, *(float(_nearest(one, vectors[0]).mean()) for one in vectors[1:])])
        if len(shown) < _SHOWN:
            shown.append({"query": text, "points": _points(retriever, text, vectors, asked.seed)})
    if not distances:
        raise EvaluationError(
            f"{asked.dataset.name}, {asked.split}: no query has relevant documents in the index and negatives of all kinds"
        )
    return {"distances": distances, "shown": shown}


def _ranking(found: pd.DataFrame) -> dict[str, list[str]]:
    return {str(qid): rows["docno"].tolist() for qid, rows in found.groupby("qid")}


def _vectors(index: SearchableIndex, docnos: list[str]) -> np.ndarray:
    """Of the documents' first passages."""
    numbers = index.numbers(docnos)
    return index.vectors.get(index.table.rows(numbers[numbers >= 0])[0])


def _nearest(vectors_ND: np.ndarray, relevant_RD: np.ndarray) -> np.ndarray:
    """Euclidean distance of each to the nearest relevant document, ``[N]``."""
    found: np.ndarray = np.linalg.norm(vectors_ND[:, None] - relevant_RD[None], axis=2).min(axis=1)
    return found


def _points(retriever: DenseRetriever, query: str, vectors: list[np.ndarray], seed: int) -> dict[str, list[list[float]]]:
    """Points in the plane by kind, the query among them."""
    manifold = optional("sklearn.manifold", needed_for="t-SNE", remedy="pip install 'ance_ir[report]'", package="scikit-learn")
    named = dict(zip(("query", "relevant", *_KINDS), (retriever.model.encode_queries([query]), *vectors), strict=True))
    every = np.concatenate(list(named.values()))
    perplexity = min(30.0, (len(every) - 1) / 3)
    placed = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(every)
    ends = np.cumsum([len(one) for one in named.values()])
    return {kind: points.round(3).tolist() for kind, points in zip(named, np.split(placed, ends[:-1]), strict=True)}


def show(found: Mapping[str, Any]) -> Shown:
    """Mean distances and whether they are in the paper's order; the shown queries in the plane."""
    frame = pd.DataFrame(found["distances"], columns=["qid", *_KINDS]).set_index("qid")
    per_query = {kind: frame[[kind]].set_axis([_DISTANCE], axis=1) for kind in _KINDS}
    pairs = [(_KINDS[1], _KINDS[0]), (_KINDS[2], _KINDS[1])]
    claims = [Claim(expected=f"{far} lie further from the relevant documents than {near}", higher=far, lower=near) for far, near in pairs]
    rows = [[kind, f"{frame[kind].mean():.4f} ± {frame[kind].std():.4f}"] for kind in _KINDS]
    shown = found["shown"]
    return Shown(
        tables={f"Over {len(frame):,} queries ± standard deviation": Table(header=["negatives", _DISTANCE], rows=rows)},
        outcomes=tested(per_query, claims),
        picture=Picture(size=(3.1 * len(shown) + 0.2, 3.7), draw=partial(_draw, shown=shown)),
    )


def _draw(figure: Any, shown: list[Mapping[str, Any]]) -> None:
    looks = {
        "random negatives": {"color": "#999999", "marker": "s", "s": 13},
        "BM25 negatives": {"color": look(4)[0], "marker": "^", "s": 20},
        "dense negatives": {"color": look(1)[0], "marker": "v", "s": 20},
        "relevant": {"color": look(0)[0], "marker": "o", "s": 34},
        "query": {"color": BLACK, "marker": "*", "s": 130},
    }
    handles = {}
    for axes, one in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for kind, style in looks.items():
            x, y = np.array(one["points"][kind]).T
            handles[kind] = axes.scatter(x, y, linewidths=0.3, edgecolors="white", **style)
        query = one["query"]
        axes.set_title(query if len(query) <= 44 else f"{query[:43].rstrip()}…", fontsize=8)
        axes.set(xticks=[], yticks=[], xlabel="t-SNE 1")
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_aspect("equal", adjustable="datalim")
    figure.axes[0].set_ylabel("t-SNE 2")
    legend_below(figure, {kind: handles[kind] for kind in reversed(looks)}, handletextpad=0.1)


ANALYSIS = Analysis(
    covers="figures 1, 10 and 11",
    needs={"system": Need(what="a dense system, an index, whose vectors are looked at", most=1)},
    choices=("split", "queries", "seed"),
    measure=measure,
    show=show,
)
