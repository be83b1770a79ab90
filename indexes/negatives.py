"""Negatives mined from an index of the whole corpus, made with the model that is being trained (paper, section 3)."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import atomic_open, read_json, write_json
from ance_ir.indexes.ance_index import AnceIndex, index_documents
from ance_ir.indexes.passages import FirstP
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.training import CandidateNegatives, InBatch, TrainingQueries

logger = logging.getLogger(__name__)

DEPTH = 200
"""The paper draws uniformly from the 200 documents that the model ranks first (section 5)."""


class AnnNegatives:
    """ANCE's negatives: uniform draws from the first ``depth`` documents that the model itself retrieves.

    A refresh leaves in its folder: ``index.ance`` (the corpus as the model sees it), ``candidates.npy`` (int32 ``[Q, depth]``, −1 where
    there are fewer) and, last, ``report.json``.

    Args:
        queries: the training queries.
        store: the corpus; its numbers are the index's.
        passages: how documents are cut.
        depth: how many documents of the ranking are candidates, after a query's excluded ones are taken out.
        evaluate: called with a new index and the model; what it returns joins the report, so no corpus is encoded twice.
        keep_indexes: keep all indexes; by default each refresh removes the one before it.
        verbose: show progress.
    """

    name = "ance"
    in_batch: InBatch = "none"

    def __init__(
        self,
        queries: TrainingQueries,
        store: DocumentStore,
        passages: PassageScheme,
        *,
        depth: int = DEPTH,
        evaluate: Callable[[AnceIndex, DenseEncoder], dict[str, float]] | None = None,
        keep_indexes: bool = False,
        verbose: bool = False,
    ) -> None:
        if depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {depth}")
        self.settings: Mapping[str, Any] = {"depth": depth}
        self._queries = queries
        self._store = store
        self._passages = passages
        self._depth = min(depth, queries.documents)
        self._evaluate = evaluate
        self._keep_indexes = keep_indexes
        self._verbose = verbose
        self._mined: CandidateNegatives | None = None

    def refresh(self, model: DenseEncoder, folder: Path, step: int) -> dict[str, Any]:
        """Encode the corpus, search it with the training queries, take the new candidates; see ``NegativeSource.refresh``."""
        before = self._mined
        report_path = folder / "report.json"
        if report_path.exists():
            candidates = np.load(folder / "candidates.npy", allow_pickle=False)
            report: dict[str, Any] = read_json(report_path)
        else:
            began = time.perf_counter()
            index = self._index(model, folder / "index.ance")
            encoded = time.perf_counter()
            candidates, report = self._mine(model, index)
            report |= {"encode_seconds": round(encoded - began, 2), "mine_seconds": round(time.perf_counter() - encoded, 2)}
            if self._evaluate is not None:
                report |= self._evaluate(index, model)
            with atomic_open(folder / "candidates.npy", "wb") as stream:
                np.save(stream, candidates, allow_pickle=False)
        self._mined = CandidateNegatives(self._queries, [row[row >= 0] for row in candidates], self.name, self._depth)
        if before is not None:
            report["overlap_with_previous"] = _overlap(before.candidates, self._mined.candidates)
        write_json(report_path, report)
        if not self._keep_indexes:
            for old in folder.parent.glob("step-*/index.ance"):
                if old.parent != folder:
                    shutil.rmtree(old)
        return report

    def restore(self, folder: Path, step: int) -> None:
        """Read the candidates that were mined into a folder; see ``NegativeSource.restore``."""
        if not (folder / "report.json").exists():
            raise TrainingError(
                f"{folder}: the negatives in use at the checkpoint are gone; delete the checkpoint to go on from the one before"
            )
        candidates = np.load(folder / "candidates.npy", allow_pickle=False)
        self._mined = CandidateNegatives(self._queries, [row[row >= 0] for row in candidates], self.name, self._depth)

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        if self._mined is None:
            raise TrainingError("there are no mined negatives before the first refresh")
        return self._mined.draw(queries, count, generator)

    def _index(self, model: DenseEncoder, path: Path) -> AnceIndex:
        index = AnceIndex(path)
        if index.built() and index.manifest["encoding"]["fingerprint"] == model.fingerprint():
            return index
        documents = (self._store[number] for number in range(len(self._store)))
        count = len(self._store) if isinstance(self._passages, FirstP) else None
        return index_documents(path, model, documents, self._passages, count=count, verbose=self._verbose, overwrite=True)

    def _mine(self, model: DenseEncoder, index: AnceIndex) -> tuple[np.ndarray, dict[str, Any]]:
        """Candidates, int32 ``[Q, depth]``, and the mean score of the first ten."""
        most_excluded = max(len(excluded) for excluded in self._queries.excluded)
        searcher = index.searcher(device=str(model.device))
        scores, found = index.search_vectors(model.encode_queries(self._queries.texts), self._depth + most_excluded, searcher)
        candidates = np.full((len(self._queries), self._depth), -1, dtype=np.int32)
        first: list[float] = []
        for query, excluded in enumerate(self._queries.excluded):
            allowed = np.flatnonzero(~np.isin(found[query], excluded) & (found[query] >= 0))[: self._depth]
            candidates[query, : len(allowed)] = found[query][allowed]
            first.extend(scores[query][allowed[:10]].tolist())
        return candidates, {"mean_negative_score": float(np.mean(first)) if first else float("nan")}


def _overlap(before: list[np.ndarray], after: list[np.ndarray]) -> float:
    """Share of the new candidates that were candidates before, mean over queries."""
    return float(np.mean([np.isin(new, old).mean() for old, new in zip(before, after, strict=True) if len(new)]))
