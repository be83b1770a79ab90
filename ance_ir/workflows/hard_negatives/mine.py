"""Hard negatives for training elsewhere: mined with any system, as a stream of training records.

Shapes: B queries of a block, N negatives of each, R positives of all of them.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.files import as_path
from ance_ir.indexes.mining.allowed import DenseRanker, Ranker, positives_of
from ance_ir.indexes.mining.candidates import Candidates
from ance_ir.indexes.mining.filters import FILTERS
from ance_ir.models.compute.precision import Precision
from ance_ir.pipelines import Systems
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.pipelines.systems import OpenModels
from ance_ir.ragged import rows_of, starts_of
from ance_ir.training import TrainingQueries
from ance_ir.training.negatives.source import draw_places
from ance_ir.workflows.hard_negatives.blocks import Block, Blocks
from ance_ir.workflows.hard_negatives.rankers import TOGETHER, ranker_of, usual_exclusions
from ance_ir.workflows.hard_negatives.report import NEAREST, MiningReport, Suspect
from ance_ir.workflows.hard_negatives.settings import HardNegatives
from ance_ir.workflows.pairs import pairs_of_file
from ance_ir.workflows.planning.estimates import Estimate, estimate_mining

logger = logging.getLogger(__name__)

_QUICK, _SLOW = 1 << 14, 64
"""Queries of a block: of an index, and of a pipeline or with a cross-encoder, where a block may take minutes."""


def mine_negatives(
    dataset: Dataset,
    system: str | pt.Transformer,
    how: HardNegatives | None = None,
    *,
    split: str = "train",
    work: Path | str | None = None,
    compare_with: Path | str | None = None,
    device: str | None = None,
    model: str | None = None,
    precision: Precision | None = None,
    pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
    verbose: bool = False,
    **options: Any,
) -> MinedRecords:
    """Mine hard negatives: for each training query documents that a system ranks high, none of them a positive or a duplicate of one.

    A system of one index is searched through arrays, others through their pipelines; positives that a pipeline does not return are scored
    by its last stage, if that is an index or a reranker.

    Args:
        dataset: documents, queries and judgements.
        system: as ``Systems`` reads it, or a pipeline, which should return more documents than the depth by as many as a query excludes.
        how: which negatives.
        split: the queries.
        work: a folder that keeps what is mined, so that the same call resumes it; ``None``: nothing is kept.
        compare_with: a TREC run or a training file, to report the overlap with its negatives.
        device: see ``Systems``.
        model: likewise.
        precision: likewise.
        pipelines: likewise.
        verbose: show progress.
        options: fields of ``how``, instead of it or changed in it.

    Returns:
        The records, a stream that is mined while it is read, in the order of the queries; and a report, complete when it has been read.

    Raises:
        UsageError: no such system, or settings that do not fit together.
        TrainingError: no query has a relevant document in the corpus.
    """
    how = dataclasses.replace(how or HardNegatives(), **options)
    store = dataset.store(verbose)
    queries = TrainingQueries.load(dataset, store, split)
    depth = how.filters.skip + how.depth
    opened = _opened(system, dataset, device=device, model=model, precision=precision, pipelines=pipelines, verbose=verbose)
    name, pipeline = opened(depth + usual_exclusions(queries))
    other = None if compare_with is None else _negatives_of(str(compare_with), queries, store)
    ranker = ranker_of(lambda results: opened(results)[1], depth, name, dataset, store, queries)
    made_by = fingerprint(pipeline) if work is not None else None
    if work is not None and made_by is None:
        logger.warning("%s: it cannot be known whether this is the same system the next time; if it is interrupted, mining restarts", name)
        work = None
    manifest = {"dataset": dataset.fingerprint, "split": split, "system": name, "pipeline": made_by, **how.decisive}
    blocks = Blocks(None if work is None else as_path(work))
    made: Any = {"store": store, "queries": queries, "ranker": ranker, "how": how, "blocks": blocks, "other": other}
    return MinedRecords(pipeline=pipeline, manifest=manifest, verbose=verbose, **made)


def _opened(system: str | pt.Transformer, dataset: Dataset, **options: Any) -> Callable[[int], tuple[str, pt.Transformer]]:
    """From how many documents are wanted to the name of a system and its pipeline; those of a text share their models."""
    if not isinstance(system, str):
        return lambda results: (repr(system), system)
    models = OpenModels()
    return functools.cache(lambda results: Systems(dataset, num_results=results, models=models, **options).parse(system))


def _negatives_of(text: str, queries: TrainingQueries, store: DocumentStore) -> list[np.ndarray]:
    """The negatives of a run or training file: for each query the documents that it does not exclude."""
    (pairs,) = pairs_of_file(text, [(queries, store)])
    pairs = pairs.where(np.argsort(pairs.queries, kind="stable"))
    found = np.split(pairs.documents, np.searchsorted(pairs.queries, np.arange(1, len(queries))))
    return [documents[~np.isin(documents, excluded)] for documents, excluded in zip(found, queries.excluded, strict=True)]


@dataclass(kw_only=True, eq=False)
class MinedRecords:
    """Training records with mined negatives, mined while they are read; made by ``mine_negatives``.

    Attributes:
        store: the documents.
        queries: the training queries.
        ranker: what ranks.
        how: which negatives.
        blocks: keep what is mined.
        manifest: what decides what is mined.
        other: the negatives of another mining, to compare with.
        pipeline: which the ranker asks.
        verbose: show progress.
        report: of the last reading; complete when all records have been read.
    """

    store: DocumentStore
    queries: TrainingQueries
    ranker: Ranker
    how: HardNegatives
    blocks: Blocks
    manifest: Mapping[str, Any]
    other: Sequence[np.ndarray] | None = None
    pipeline: pt.Transformer | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        self.report = MiningReport(asked=self.how.negatives_per_query)

    def __repr__(self) -> str:
        return f"MinedRecords({self.manifest['system']!r}, {len(self.queries):,} queries)"

    def estimate(self) -> Estimate | None:
        """What mining will take; ``None`` where some is done, or it is not known what it takes."""
        if self.pipeline is None or self.blocks.begun or self.how.filters.teacher is not None:
            return None
        together = len(self.queries) if isinstance(self.ranker, DenseRanker) else TOGETHER
        return estimate_mining(self.pipeline, self.queries.texts, self.how.depth, together)

    def __iter__(self) -> Iterator[TrainingRecord]:
        scored = self.how.scores
        for asked, block, written in self._mined(scored):
            counts, documents = positives_of(self.queries, asked)
            kept_R = ~np.isnan(block.positive_R) if scored else np.ones(len(documents), dtype=bool)
            owned_B = np.split(np.flatnonzero(kept_R), np.cumsum(np.add.reduceat(kept_R, starts_of(counts)))[:-1])
            totals = (block.drawn_BN >= 0).sum(axis=1).tolist()
            for row in written.tolist():
                query, own, total = int(asked[row]), owned_B[row], totals[row]
                yield TrainingRecord(
                    qid=self.queries.qids[query],
                    query=self.queries.texts[query],
                    positives=tuple([self.store[number] for number in documents[own].tolist()]),
                    negatives=tuple([self.store[number] for number in block.drawn_BN[row, :total].tolist()]),
                    positive_scores=tuple(block.positive_R[own].tolist()) if scored else (),
                    negative_scores=tuple(block.scores_BN[row, :total].tolist()) if scored else (),
                )

    def runs(self) -> Iterator[pd.DataFrame]:
        """The negatives alone, with their scores: frames of ``qid``, ``docno``, ``score`` and ``rank``, from 0, of some queries each."""
        for asked, block, written in self._mined(scored=False):
            rows, places = np.nonzero(block.drawn_BN[written] >= 0)
            rows = written[rows]
            yield pd.DataFrame(
                {
                    "qid": [self.queries.qids[query] for query in asked[rows]],
                    "docno": self.store.docnos(block.drawn_BN[rows, places]),
                    "score": block.scores_BN[rows, places].astype(np.float64),
                    "rank": places,
                }
            )

    def _mined(self, scored: bool) -> Iterator[tuple[np.ndarray, Block, np.ndarray]]:
        """Numbers of queries, what was mined for them, and which of them, by their rows, have enough; they are reported.

        Args:
            scored: leave out queries without a positive that has a score.
        """
        self.report = MiningReport(asked=self.how.negatives_per_query)
        size = _QUICK if isinstance(self.ranker, DenseRanker) and self.how.filters.teacher is None else _SLOW
        parts = [np.arange(start, min(start + size, len(self.queries))) for start in range(0, len(self.queries), size)]
        with self.blocks.claimed(self.manifest):
            done = sum(len(part) for number, part in enumerate(parts) if self.blocks.kept(number))
            with tqdm(total=len(self.queries), initial=done, desc="mining", unit=" queries", disable=not self.verbose) as bar:
                for number, asked in enumerate(parts):
                    bar.update(0 if self.blocks.kept(number) else len(asked))
                    block = self.blocks.find(number, lambda asked=asked: self._mine(asked))  # type: ignore[misc]
                    yield asked, block, self._reported(asked, block, scored)

    def _mine(self, asked: np.ndarray) -> Block:
        """Mine for queries, whose numbers follow each other."""
        how, filters = self.how, self.how.filters
        drawn_BN = np.full((len(asked), how.negatives_per_query), -1, dtype=np.int64)
        scores_BN = np.full(drawn_BN.shape, -np.inf, dtype=np.float32)
        positives, documents = positives_of(self.queries, asked)
        positive_R = np.full(len(documents), np.nan, dtype=np.float32)
        counts = np.zeros(3 + len(FILTERS), dtype=np.int64)
        generator = np.random.default_rng([how.seed, int(asked[0])])
        for ranked in self.ranker.allowed(asked, filters.skip + how.depth):
            rows = ranked.queries - asked[0]
            positive_R[rows_of(starts_of(positives)[rows], positives[rows])] = ranked.positive_R
            found = Candidates.of(ranked, self.queries, self.store, filters, how.depth)
            skipped = int((ranked.found_BF[:, : filters.skip] >= 0).sum())
            counts += np.array([ranked.excluded, skipped, found.considered, *(found.taken[name] for name in FILTERS)])
            totals = (found.found_BK >= 0).sum(axis=1).tolist()
            for row, found_K, scores_K, total in zip(rows.tolist(), found.found_BK, found.scores_BK, totals, strict=True):
                places = self._drawn(scores_K[:total], generator)
                drawn_BN[row, : len(places)], scores_BN[row, : len(places)] = found_K[places], scores_K[places]
        return Block(drawn_BN=drawn_BN, scores_BN=scores_BN, positive_R=positive_R, counts=counts)

    def _drawn(self, scores_K: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The places of the candidates that are drawn, best first."""
        how = self.how
        count = min(how.negatives_per_query, len(scores_K))
        if count == len(scores_K) or how.draw == "top":
            return np.arange(count)
        return np.sort(draw_places(scores_K, count, how.draw, how.temperature, generator))

    def _reported(self, asked: np.ndarray, block: Block, scored: bool) -> np.ndarray:
        """Report what was mined for queries; the rows of those that have enough."""
        counts, documents = positives_of(self.queries, asked)
        best_B = np.fmax.reduceat(block.positive_R, starts_of(counts))
        totals_B = (block.drawn_BN >= 0).sum(axis=1)
        enough_B = totals_B >= self.how.at_least
        written = np.flatnonzero(enough_B & ~np.isnan(best_B) if scored else enough_B)
        report = self.report
        report.count(block.counts)
        report.queries += len(asked)
        report.positives += len(documents)
        report.unscored += int(np.isnan(block.positive_R).sum())
        report.without_score += int(np.isnan(best_B).sum())
        report.left_out += int((~enough_B).sum())
        report.dropped += int(enough_B.sum()) - len(written)
        report.records += len(written)
        report.negatives += int(totals_B[written].sum())
        report.fewer += int((totals_B[written] < self.how.negatives_per_query).sum())
        report.suspected += int((block.scores_BN[written] >= best_B[written, None]).sum())
        report.suspect(self._suspects(asked, block, written[~np.isnan(best_B[written])], best_B))
        if self.other is not None:
            pairs = [(block.drawn_BN[row, : totals_B[row]], self.other[asked[row]]) for row in written.tolist()]
            report.compare([float(np.isin(ours, theirs).mean()) for ours, theirs in pairs if len(ours) and len(theirs)])
        return written

    def _suspects(self, asked: np.ndarray, block: Block, rows: np.ndarray, best_B: np.ndarray) -> list[Suspect]:
        """Of some rows those whose best negative scores highest above the best positive."""
        counts, documents = positives_of(self.queries, asked)
        firsts, known = starts_of(counts), self.report.suspects
        gap_B = block.scores_BN[:, 0] - best_B
        rows = rows[np.argsort(-gap_B[rows], kind="stable")][:NEAREST]
        if len(known) == NEAREST:
            rows = rows[gap_B[rows] > known[-1].gap]
        found = []
        for row in rows[block.drawn_BN[rows, 0] >= 0].tolist():
            own = slice(firsts[row], firsts[row] + counts[row])
            best = int(np.nanargmax(block.positive_R[own]))
            found.append(
                Suspect(
                    qid=self.queries.qids[asked[row]],
                    query=self.queries.texts[asked[row]],
                    positive=self.store[int(documents[own][best])],
                    negative=self.store[int(block.drawn_BN[row, 0])],
                    positive_score=float(best_B[row]),
                    negative_score=float(block.scores_BN[row, 0]),
                )
            )
        return found
