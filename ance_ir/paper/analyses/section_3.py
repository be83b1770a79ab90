"""Negatives that are already ranked low have vanishing losses and gradients, and batches hardly ever hold another one.

Section 3 bounds the norm of an instance's gradient by a constant of the network times that of its gradient at the last layer, which
vanishes with the loss. Here each instance has one query, one positive and one negative, and at the last layer are their three vectors.
The paper puts the chance that a batch of b random negatives holds one of the few informative ones, D⁻*, at b·|D⁻*|/|C|². That b documents
drawn from |C| hold one of them has a chance of about b·|D⁻*|/|C|, which is what can be measured; both are told. Informative are the first
100 documents that the model ranks for a query, its positives taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from ance_ir.eval import Table
from ance_ir.eval.report.pictures import Picture, legend_below
from ance_ir.eval.report.strokes import look
from ance_ir.indexes import DenseRetriever, FirstP
from ance_ir.indexes.mining.allowed import TOP, DenseRanker
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, verdict_of
from ance_ir.paper.pictures import MARKS, log_scale
from ance_ir.training import TEMPERATURES, CandidateNegatives, DenseObjective, NegativeSource
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.losses.pairwise_nll import loss as pairwise_nll
from ance_ir.training.run.optimisation import gradient_norms
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets

BATCH = 32
"""Queries of the batches in which informative negatives are looked for."""

_QUERIES = 200
_BATCHES = 1000
_SHOWN = {"loss": "loss", "norm": "norm", "last": "norm at the last layer"}
_RATIO = "norm ÷ that at the last layer, median; largest"
_RARE = 0.1
"""Of batches, the share below which those with an informative random negative are few."""


def measure(asked: Asked) -> dict[str, Any]:
    """Loss and gradient norms of instances by where their negative is from, and how often batches hold informative ones."""
    name, retriever = asked.dense(asked.texts("system")[0])
    sets = TrainingSets.open([asked.dataset], [asked.split])
    drawn = set(asked.drawn(sets.queries.qids, _QUERIES))
    sets = sets.with_queries([sets.queries.rows([row for row, qid in enumerate(sets.queries.qids) if qid in drawn])])
    first = _first(sets, retriever)
    named = NamedNegatives(sets, depth=TOP, device=str(retriever.model.device), dense=True)
    sources = {
        "random": named.make("random"),
        "BM25": named.make("bm25"),
        f"ANN, {name}": CandidateNegatives(sets.queries, first, name, TOP),
    }
    instances = {source: _instances(sets, retriever, negatives, asked.seed) for source, negatives in sources.items()}
    return {"instances": instances, "documents": len(sets.store), "chances": _chances(sets, first, asked.seed)}


def _first(sets: TrainingSets, retriever: DenseRetriever) -> list[np.ndarray]:
    """For each query the numbers of its first allowed documents."""
    found: dict[int, np.ndarray] = {}
    queries = sets.queries
    for ranked in DenseRanker(retriever.index, retriever.model, queries).allowed(np.arange(len(queries)), TOP):
        found |= zip(ranked.queries.tolist(), (row[row >= 0][:TOP] for row in ranked.found_BF), strict=True)
    return [found[query] for query in range(len(queries))]


def _instances(sets: TrainingSets, retriever: DenseRetriever, negatives: NegativeSource, seed: int) -> dict[str, list[float]]:
    """``loss``, ``norm`` and ``last``, the norm of its gradient at the vectors, of an instance for each query."""
    queries, model = sets.queries, retriever.model
    objective = DenseObjective(model, queries, sets.store, FirstP())
    generator = np.random.default_rng(seed)
    temperature = TEMPERATURES[model.similarity]
    found: dict[str, list[float]] = {"loss": [], "norm": []}
    documents = []
    for query in range(len(queries)):
        asked, positive = np.array([query]), queries.positives[query][:1]
        batch = Batch(queries=asked, positives=positive, negatives=negatives.draw(asked, 1, generator))
        documents.append([int(positive[0]), int(batch.negatives[0, 0])])
        model.zero_grad(set_to_none=True)
        loss, _ = objective.backward(batch, temperature, 1.0)
        found["loss"].append(float(loss))
        found["norm"].append(float(torch.linalg.vector_norm(torch.stack(list(gradient_norms(model).values())))))
    model.zero_grad(set_to_none=True)
    texts = [model.settings.join(sets.store[number]) for pair in documents for number in pair]
    vectors = torch.from_numpy(model.encode_passages(texts)).float().view(len(documents), 2, -1)
    query_BD = torch.from_numpy(model.encode_queries(list(queries.texts))).float()
    return {**found, "last": _at_vectors(query_BD, vectors[:, 0], vectors[:, 1], temperature).tolist()}


def _at_vectors(query_BD: torch.Tensor, positive_BD: torch.Tensor, negative_BD: torch.Tensor, temperature: float) -> torch.Tensor:
    """For each instance the norm, ``[B]``, of the gradient of its pairwise loss with respect to its three vectors."""
    leaves = [vectors.clone().requires_grad_() for vectors in (query_BD, positive_BD, negative_BD)]
    scores = [(leaves[0] * documents).sum(dim=1, keepdim=True) / temperature for documents in leaves[1:]]
    pairwise_nll(scores[0].squeeze(1), scores[1]).mul(len(query_BD)).backward()
    norms: torch.Tensor = torch.linalg.vector_norm(torch.cat([leaf.grad for leaf in leaves if leaf.grad is not None], dim=1), dim=1)
    return norms


def _chances(sets: TrainingSets, first: list[np.ndarray], seed: int) -> dict[str, list[float]]:
    """The share of batches that hold an informative negative for a query: of random documents, and of the other queries' positives."""
    generator, queries = np.random.default_rng(seed), sets.queries
    found: dict[str, list[bool]] = {"random": [], "in-batch": []}
    for query in generator.integers(len(queries), size=_BATCHES).tolist():
        others = generator.choice(np.delete(np.arange(len(queries)), query), min(BATCH, len(queries)) - 1, replace=False)
        positives = np.array([queries.positives[other][0] for other in others])
        found["in-batch"].append(bool(np.isin(positives, first[query]).any()))
        found["random"].append(bool(np.isin(generator.integers(queries.documents, size=len(others)), first[query]).any()))
    expected = len(others) * TOP / queries.documents
    return {name: [float(np.mean(values)), expected, expected / queries.documents] for name, values in found.items()}


def show(found: Mapping[str, Any]) -> Shown:
    """Means, the rank correlations of loss, norm and its bound, and the chances."""
    instances, chances = found["instances"], found["chances"]
    rows = [[name, *_cells(values)] for name, values in instances.items()]
    header = ["negative", *(f"{name}, {of}" for name in _SHOWN.values() for of in ("mean", "median")), _RATIO, "instances"]
    told = [[name, f"{share:.1%}", f"{min(1.0, expected):.1%}", f"{paper:.2g}"] for name, (share, expected, paper) in chances.items()]
    pooled = {name: np.concatenate([values[name] for values in instances.values()]) for name in _SHOWN}
    share = chances["random"][0]
    return Shown(
        tables={
            "Instances, each of a query, a positive and a negative": Table(header=header, rows=rows),
            f"Batches of {BATCH} queries that hold one of D⁻*, the first {TOP} for a query, of C = {found['documents']:,} documents": Table(
                header=["negatives", "measured", "b·D⁻*/C", "paper: b·D⁻*/C²"], rows=told
            ),
        },
        outcomes=[
            _together("the smaller an instance's loss, the smaller its gradient", pooled["loss"], pooled["norm"]),
            _together("the smaller its gradient at the last layer, which bounds it, the smaller the whole", pooled["last"], pooled["norm"]),
            Outcome(
                expected="few batches hold an informative random negative for a query",
                verdict="as in the paper" if share < _RARE else "does not hold",
                figures=f"{share:.1%} of {_BATCHES:,}, expected below {_RARE:.0%}",
            ),
        ],
        picture=Picture(size=(4.6, 3.6), draw=partial(_draw, instances=instances)),
    )


def _together(expected: str, one: np.ndarray, other: np.ndarray) -> Outcome:
    correlation, p = spearmanr(one, other)
    return Outcome(
        expected=expected,
        verdict=verdict_of(correlation, p),
        figures=f"rank correlation {correlation:.3f}, p {p:.2g}, over {len(one):,} instances",
    )


def _cells(values: Mapping[str, list[float]]) -> list[str]:
    means = [f"{of(values[name]):.3g}" for name in _SHOWN for of in (np.mean, np.median)]
    norm, last = np.array(values["norm"]), np.array(values["last"])
    ratios = norm[last > 0] / last[last > 0]
    middle, most = (np.median(ratios), ratios.max()) if len(ratios) else (np.nan, np.nan)
    return [*means, f"{middle:.3g}; {most:.3g}", f"{len(norm):,}"]


def _draw(figure: Any, instances: Mapping[str, Mapping[str, list[float]]]) -> None:
    axes, handles = figure.subplots(), {}
    for place, (name, values) in enumerate(instances.items()):
        handles[name] = axes.scatter(
            values["loss"], values["norm"], s=12, marker=MARKS[place], facecolor="none", edgecolor=look(place)[0], linewidth=0.8
        )
    log_scale(axes, "x", "y")
    axes.set(xlabel="loss of an instance (nats)", ylabel="gradient norm")
    legend_below(figure, handles)


ANALYSIS = Analysis(
    covers="section 3",
    needs={"system": Need(what="a dense system, whose model is looked at, with --split train")},
    choices=("split", "queries", "seed"),
    measure=measure,
    show=show,
)
