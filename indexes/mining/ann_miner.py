"""A refresh: encode the corpus with the current model, search it with the training queries, keep the candidates for negatives.

Shapes: Q queries, K candidates, S queries of a sample, N documents of its ranking.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ance_ir.datasets import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.mining.allowed import TOP, DenseRanker
from ance_ir.indexes.mining.candidates import Candidates
from ance_ir.indexes.mining.filters import Filters
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.models import DenseEncoder, Encoding, PassageScheme
from ance_ir.training import MinedNegatives, TrainingQueries

logger = logging.getLogger(__name__)

DEPTH = 200
"""The paper draws from the 200 documents that the model ranks first (section 5)."""

_INDEX = "index.ance"

SAMPLE = 1000
"""Queries whose first documents are published too, to measure the overlap of other negatives with them."""


class AnnMiner:
    """Mines negatives with an index of the whole corpus. Several processes may share a refresh: one leads, the others help to encode.

    A refresh leaves in its folder ``index.ance`` (the encoded corpus) and the files of ``MinedNegatives``.

    Args:
        queries: the training queries.
        store: the corpus; its numbers are the index's.
        passages: how documents are cut.
        depth: how many *documents* of the ranking are candidates, not counting those that a query excludes.
        filters: which candidates are safe; by default all.
        rotation: each refresh mines for one of so many parts of the queries in turn (the first for all); the others keep their candidates.
        evaluate: called with a new index and the model; its figures join the report, and the corpus is encoded only once.
        reuse: an index that the initial model made of an earlier state of the corpus.
        keep_indexes: keep all indexes; by default each refresh removes those before it. Where the passage tower is not trained they are
            the same files.
        verbose: show progress.
    """

    def __init__(
        self,
        queries: TrainingQueries,
        store: DocumentStore,
        passages: PassageScheme,
        *,
        depth: int = DEPTH,
        filters: Filters | None = None,
        rotation: int = 1,
        evaluate: Callable[[AnceIndex, DenseEncoder], dict[str, float]] | None = None,
        reuse: AnceIndex | None = None,
        keep_indexes: bool = False,
        verbose: bool = False,
    ) -> None:
        if depth < 1:
            raise UsageError(f"depth must be at least 1 document, not {depth}")
        if not 1 <= rotation <= len(queries):
            raise UsageError(f"rotation over {len(queries)} queries must be 1 to {len(queries)}, not {rotation}")
        self._filters = filters or Filters()
        self.settings: Mapping[str, Any] = {
            "depth": depth,
            "rotation": rotation,
            "keep_indexes": keep_indexes,
            **self._filters.settings,
        }
        self.evaluates = evaluate is not None
        self._queries = queries
        self._store = store
        self._passages = passages
        self._depth = depth
        self._rotation = rotation
        self._evaluate = evaluate
        self._reuse = reuse
        if reuse is not None:
            Reuse.check(reuse)
        self._keep_indexes = keep_indexes
        self._verbose = verbose
        self._work: CorpusEncoding | None = None

    def __repr__(self) -> str:
        usual = {"depth": DEPTH, "rotation": 1, "keep_indexes": False, **Filters().settings}
        changed = "".join(f", {name}={value!r}" for name, value in self.settings.items() if value != usual.get(name))
        return f"AnnMiner({len(self._queries):,} queries{changed})"

    def help(self, model: DenseEncoder, folder: Path) -> None:
        """Encode parts of the corpus for the process that leads; see ``Miner.help``."""
        self._encoding(model, folder).help()

    def mine(self, model: DenseEncoder, folder: Path, step: int, previous: MinedNegatives | None) -> None:
        """Encode, search, publish; see ``Miner.mine``."""
        if MinedNegatives.available(folder):
            return
        began = time.perf_counter()
        encoding = self._encoding(model, folder)
        any(encoding.adopt(index) for index in self._earlier(folder))  # where the passage tower is not trained
        index = encoding.lead()
        encoded = time.perf_counter()
        chosen = np.arange(len(self._queries))
        serial = 0
        if previous is not None:
            serial = previous.report["refresh"] + 1
            chosen = chosen[chosen % self._rotation == serial % self._rotation]
        mined = self._search(model, index, chosen, previous)
        report = {"mined_at": step, "refresh": serial, "encode_seconds": round(encoded - began, 2), **mined.report}
        report |= {"documents_encoded": encoding.encoded}
        if previous is not None:
            report["overlap_with_previous"] = _overlap(previous.candidates_QK[chosen], mined.candidates_QK[chosen])
        if self._evaluate is not None:
            report["dev"] = self._evaluate(index, model)
        replace(mined, report=report).publish(folder)
        if not self._keep_indexes:
            for old in self._earlier(folder):
                shutil.rmtree(old, ignore_errors=True)

    def _earlier(self, folder: Path) -> list[Path]:
        """The indexes of the other refreshes of this corpus, the newest first."""
        refresh = folder.parent if folder.parent.name.startswith("step-") else folder  # of several corpora each has a folder within
        others = sorted(refresh.parent.glob("step-*"), reverse=True)
        return [other / folder.relative_to(refresh) / _INDEX for other in others if other != refresh]

    def _encoding(self, model: DenseEncoder, folder: Path) -> CorpusEncoding:
        path = folder / _INDEX
        if self._work is None or self._work.folder != path:  # once a refresh, as it hashes the model
            reuse = self._reuse
            if reuse is not None and not Encoding.of(model, str(self._passages)).same_model(reuse.manifest["encoding"]):
                reuse = None  # training has changed the model
            self._work = CorpusEncoding(path, self._store, model, self._passages, reuse=reuse, verbose=self._verbose)
        return self._work

    def _search(self, model: DenseEncoder, index: AnceIndex, chosen: np.ndarray, previous: MinedNegatives | None) -> MinedNegatives:
        """Search with the chosen queries; the others keep their previous candidates."""
        began = time.perf_counter()
        filters, total = self._filters, len(self._queries)
        depth = min(self._depth, len(self._store))
        candidates_QK = np.full((total, depth), -1, dtype=np.int32)
        scores_QK = np.full((total, depth), -np.inf, dtype=np.float32)
        if previous is not None:
            candidates_QK[:], scores_QK[:] = previous.candidates_QK, previous.scores_QK
        sample_S = chosen[np.unique(np.linspace(0, len(chosen) - 1, SAMPLE).astype(int))]
        top_SN = np.full((len(sample_S), TOP), -1, dtype=np.int32)
        searched, suspected, found = 0.0, 0, 0
        asks = filters.teacher is not None and self._verbose
        bar = tqdm(total=len(chosen), desc="asking the teacher", unit=" queries", disable=not asks)
        for ranked in DenseRanker(index, model, self._queries).allowed(chosen, max(depth + filters.skip, TOP)):
            block = ranked.queries
            searched += ranked.seconds
            places, of_sample = np.nonzero(block[:, None] == sample_S)
            top_SN[of_sample, : min(TOP, ranked.found_BF.shape[1])] = ranked.found_BF[places, :TOP]
            candidates = Candidates.of(ranked, self._queries, self._store, filters, depth, bar.update)
            found += candidates.considered
            suspected += candidates.suspected
            candidates_QK[block], scores_QK[block] = -1, -np.inf
            width = candidates.found_BK.shape[1]
            candidates_QK[block, :width], scores_QK[block, :width] = candidates.found_BK, candidates.scores_BK
        bar.close()
        kept_QK = candidates_QK[chosen] >= 0
        report = {
            "search_seconds": round(searched, 2),
            "mine_seconds": round(time.perf_counter() - began - searched, 2),
            "candidates": round(float(kept_QK.sum(axis=1).mean()), 2),
            "queries_without_candidates": int((~kept_QK.any(axis=1)).sum()),
            "suspected_false_negatives": round(suspected / max(1, found), 4),
            "mean_negative_score": float(scores_QK[chosen][kept_QK].mean(dtype=np.float64)) if kept_QK.any() else None,
        }
        return MinedNegatives(candidates_QK=candidates_QK, scores_QK=scores_QK, top_SN=top_SN, sample_S=sample_S, report=report)


def _overlap(before_QK: np.ndarray, after_QK: np.ndarray) -> float:
    """The share of candidates that were candidates before; mean over queries that have any."""
    shares = [np.isin(after[after >= 0], before).mean() for before, after in zip(before_QK, after_QK, strict=True) if (after >= 0).any()]
    return round(float(np.mean(shares)), 4) if shares else 0.0
