"""Negatives that are already ranked low have vanishing losses and gradients, and batches hardly ever hold another one.

Section 3 bounds an instance's gradient norm by its loss, and puts the chance that a batch of b random negatives holds one of the few
informative ones at about b·|D⁻*|/|C|. Here each instance has one query, one positive and one negative; informative are the first 100
documents that the model ranks for a query, its positives taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from ance_ir.eval import Table
from ance_ir.eval.report.pictures import Picture
from ance_ir.eval.report.strokes import look
from ance_ir.indexes import DenseRetriever, FirstP
from ance_ir.indexes.mining.allowed import TOP, DenseRanker
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, verdict_of
from ance_ir.paper.pictures import MARKS, log_scale
from ance_ir.training import TEMPERATURES, CandidateNegatives, DenseObjective, NegativeSource
from ance_ir.training.batches import Batch
from ance_ir.training.run.optimisation import gradient_norms
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets

BATCH = 32
"""Queries of the batches in which informative negatives are looked for."""

_QUERIES = 200
_BATCHES = 1000
_RARE = 0.1
"""Of batches, the share below which those with an informative random negative are few."""


def measure(asked: Asked) -> dict[str, Any]:
    """Loss and gradient norm of instances by where their negative is from, and how often batches hold informative ones."""
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
    """``loss`` and ``norm`` of an instance for each query."""
    queries, model = sets.queries, retriever.model
    objective = DenseObjective(model, queries, sets.store, FirstP())
    generator = np.random.default_rng(seed)
    temperature = TEMPERATURES[model.similarity]
    found: dict[str, list[float]] = {"loss": [], "norm": []}
    for query in range(len(queries)):
        asked, positive = np.array([query]), queries.positives[query][:1]
        batch = Batch(queries=asked, positives=positive, negatives=negatives.draw(asked, 1, generator))
        model.zero_grad(set_to_none=True)
        loss, _ = objective.backward(batch, temperature, 1.0)
        found["loss"].append(float(loss))
        found["norm"].append(float(torch.linalg.vector_norm(torch.stack(list(gradient_norms(model).values())))))
    model.zero_grad(set_to_none=True)
    return found


def _chances(sets: TrainingSets, first: list[np.ndarray], seed: int) -> dict[str, list[float]]:
    """The share of batches that hold an informative negative for a query: of random documents, and of the other queries' positives."""
    generator, queries = np.random.default_rng(seed), sets.queries
    found: dict[str, list[bool]] = {"random": [], "in-batch": []}
    for query in generator.integers(len(queries), size=_BATCHES).tolist():
        others = generator.choice(np.delete(np.arange(len(queries)), query), min(BATCH, len(queries)) - 1, replace=False)
        positives = np.array([queries.positives[other][0] for other in others])
        found["in-batch"].append(bool(np.isin(positives, first[query]).any()))
        found["random"].append(bool(np.isin(generator.integers(queries.documents, size=len(others)), first[query]).any()))
    return {name: [float(np.mean(values)), len(others) * TOP / queries.documents] for name, values in found.items()}


def show(found: Mapping[str, Any]) -> Shown:
    """Means, the rank correlation of loss and norm, and the chances."""
    instances, chances = found["instances"], found["chances"]
    rows = [[name, *_cells(values)] for name, values in instances.items()]
    header = ["negative", "loss, mean", "loss, median", "norm, mean", "norm, median", "instances"]
    told = [[name, f"{share:.1%}", f"{min(1.0, expected):.1%}"] for name, (share, expected) in chances.items()]
    pooled = {name: np.concatenate([values[name] for values in instances.values()]) for name in ("loss", "norm")}
    correlation, p = spearmanr(pooled["loss"], pooled["norm"])
    share = chances["random"][0]
    return Shown(
        tables={
            "Instances, each of a query, a positive and a negative": Table(header=header, rows=rows),
            f"Batches of {BATCH} queries that hold an informative negative for a query, of {found['documents']:,} documents": Table(
                header=["negatives", "measured", "b·|D⁻*|/|C|"], rows=told
            ),
        },
        outcomes=[
            Outcome(
                expected="the smaller an instance's loss, the smaller its gradient",
                verdict=verdict_of(correlation, p),
                figures=f"rank correlation {correlation:.3f}, p {p:.2g}, over {len(pooled['loss']):,} instances",
            ),
            Outcome(
                expected="few batches hold an informative random negative for a query",
                verdict="as in the paper" if share < _RARE else "does not hold",
                figures=f"{share:.1%} of {_BATCHES:,}, expected below {_RARE:.0%}",
            ),
        ],
        picture=Picture(size=(4.6, 3.6), draw=partial(_draw, instances=instances)),
    )


def _cells(values: Mapping[str, list[float]]) -> list[str]:
    means = [f"{of(values[name]):.3g}" for name in ("loss", "norm") for of in (np.mean, np.median)]
    return [*means, f"{len(values['loss']):,}"]


def _draw(figure: Any, instances: Mapping[str, Mapping[str, list[float]]]) -> None:
    axes = figure.subplots()
    for place, (name, values) in enumerate(instances.items()):
        axes.scatter(
            values["loss"], values["norm"], s=12, marker=MARKS[place], facecolor="none", edgecolor=look(place)[0], linewidth=0.8, label=name
        )
    log_scale(axes, "x", "y")
    axes.set(xlabel="loss of an instance (nats)", ylabel="gradient norm")
    figure.legend(loc="outside lower center", ncols=3)


ANALYSIS = Analysis(
    covers="section 3",
    needs={"system": Need(what="a dense system, whose model is looked at, with --split train")},
    choices=("split", "queries", "seed"),
    measure=measure,
    show=show,
)
