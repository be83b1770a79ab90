"""How many training negatives are among what the trained model ranks first (the paper's figure 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining.allowed import TOP, DenseRanker
from ance_ir.models import DenseEncoder
from ance_ir.paper.material import Material
from ance_ir.paper.settings import Scheme
from ance_ir.training import NegativeSource, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batch, Batches
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.workflows.negatives import with_mix

SAMPLE = 500
"""Training queries whose negatives are looked at, at least, where the last stretch between two refreshes has so many."""

Scores = Callable[[int, np.ndarray], np.ndarray]
"""Scores of documents, int64 ``[U]``, for a training query: float32 ``[U]``."""


def final_source(material: Material, scheme: Scheme, run: Path) -> tuple[NegativeSource, int]:
    """The source of a scheme's negatives as it was in the last steps of a run.

    Args:
        material: of the study.
        scheme: of the run.
        run: its folder.

    Returns:
        The source, and the step of the last refresh.
    """
    settings = material.settings
    last = (settings.steps - 1) // settings.refresh_every * settings.refresh_every
    source = material.negatives().make(with_mix(scheme.negatives))
    if source.mines:
        source.use(MinedNegatives.read(run / "negatives" / f"step-{last:06d}"))
    return source, last


def last_batches(source: NegativeSource, queries: TrainingQueries, settings: TrainingSettings, first: int) -> list[Batch]:
    """The batches of the last steps, from ``first`` on, so many that they hold ``SAMPLE`` queries, or all."""
    batches = Batches(queries, source, settings)
    taken: list[Batch] = []
    for step in range(settings.steps - 1, first - 1, -1):
        taken += batches.of_step(step)
        if sum(len(batch.queries) for batch in taken) >= SAMPLE:
            break
    return taken


def negatives_of(batch: Batch, queries: TrainingQueries, scores: Scores) -> list[np.ndarray]:
    """For each query of a batch the documents that are its negatives in the loss, int64.

    Args:
        batch: of which the documents of other queries may be negatives too.
        queries: with what is excluded for each.
        scores: tells which of them is the hardest, where only that one counts.
    """
    if batch.in_batch == "none":
        return list(batch.negatives)
    documents = np.unique(np.concatenate([batch.positives, batch.negatives.ravel()]))
    found = []
    for query, drawn in zip(batch.queries.tolist(), batch.negatives, strict=True):
        others = documents[~np.isin(documents, queries.excluded[query])]
        if batch.in_batch == "hardest" and len(others):
            others = np.append(drawn, others[np.argmax(scores(query, others))])
        found.append(others)
    return found


def overlap(batches: Iterable[Batch], queries: TrainingQueries, index: AnceIndex, model: DenseEncoder) -> tuple[float, int]:
    """Share of the batches' negatives that are among the ``TOP`` documents that a model ranks first, a query's excluded ones taken out.

    Args:
        batches: of training.
        queries: the training queries.
        index: of the whole corpus, made with the model; its numbers are the store's.
        model: encodes the queries.

    Returns:
        The share, and of how many negatives. Not a number where there are none.
    """
    batches = list(batches)
    asked = np.unique(np.concatenate([batch.queries for batch in batches]))
    first: dict[int, np.ndarray] = {}
    vectors = dict(zip(asked.tolist(), model.encode_queries([queries.texts[query] for query in asked]), strict=True))
    for ranked in DenseRanker(index, model, queries).allowed(asked, TOP):
        first |= zip(ranked.queries.tolist(), ranked.found_BF[:, :TOP], strict=True)

    def scores(query: int, documents: np.ndarray) -> np.ndarray:
        return index.document_scores(np.repeat(vectors[query][None], len(documents), axis=0), documents)

    hits = total = 0
    for batch in batches:
        for query, negatives in zip(batch.queries.tolist(), negatives_of(batch, queries, scores), strict=True):
            hits += int(np.isin(negatives, first[query]).sum())
            total += len(negatives)
    return (hits / total if total else float("nan")), total
