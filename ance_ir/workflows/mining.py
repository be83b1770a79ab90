"""How a run mines its negatives: its trainer knows it from the settings, its inferencers from the run's manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ance_ir.brief import Brief
from ance_ir.datasets import counts_itself
from ance_ir.errors import UsageError
from ance_ir.eval.measures import evaluate
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining import AnnMiner, Filters, JoinedMiner
from ance_ir.models import CrossEncoder, DenseEncoder, PassageScheme
from ance_ir.pipelines import WithoutItself
from ance_ir.training import Draw, TrainingQueries
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.sets import TrainingSet, TrainingSets

DEV_MEASURES = ("RR@10", "nDCG@10", "R@100")
_DEV_DEPTH = 100


@dataclass(frozen=True, kw_only=True, repr=False)
class Mining(Brief):
    """How ANCE's negatives are mined and drawn, apart from the depth of the ranking.

    Attributes:
        draw: see ``AnnNegatives``.
        backend: see ``AnnMiner``; ``exact``, or a family of approximate search: ``hnsw+sq8``, ``ivf+sq8``, …
        rotation: see ``AnnMiner``.
        skip: see ``Filters``.
        max_score: likewise.
        margin: likewise.
        relative_margin: likewise.
        teacher: the name of the filters' cross-encoder.
        teacher_margin: see ``Filters``.
        reuse: an index of the model to start with, over an earlier state of the corpus; its folder.
        workers: see ``AnnMiner``; they change no result.
    """

    draw: Draw = "uniform"
    backend: str = "exact"
    rotation: int = 1
    skip: int = 0
    max_score: float | None = None
    margin: float | None = None
    relative_margin: float | None = None
    teacher: str | None = None
    teacher_margin: float = 0.0
    reuse: str | None = None
    workers: int | None = field(default=0, compare=False)

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any], reuse: str | None, workers: int | None = 0) -> Mining:
        """The settings of a run's trainer, without ``draw``: only the trainer draws."""
        refresh = manifest["refresh"]
        teacher = refresh["teacher"]["name"] if refresh["teacher"] else None
        kept = {name: refresh[name] for name in ("rotation", "skip", "margin", "teacher_margin")}
        kept |= {name: refresh[name] for name in ("max_score", "relative_margin", "backend") if name in refresh}  # where they are set
        return cls(teacher=teacher, reuse=reuse, workers=workers, **kept)

    def filters(self, device: str | None) -> Filters:
        """The filters of candidates, their cross-encoder on a device."""
        return Filters(
            skip=self.skip,
            max_score=self.max_score,
            margin=self.margin,
            relative_margin=self.relative_margin,
            teacher=CrossEncoder.from_pretrained(self.teacher, device=device) if self.teacher else None,
            teacher_margin=self.teacher_margin,
        )

    def miner(
        self,
        sets: TrainingSets,
        passages: PassageScheme,
        *,
        depth: int,
        dev: DevQueries | None,
        device: str,
        keep_indexes: bool = False,
        verbose: bool = False,
    ) -> AnnMiner | JoinedMiner:
        """The miner.

        Args:
            sets: the training sets; each of their corpora is encoded once in a refresh.
            passages: how documents are cut.
            depth: documents of a ranking that are candidates.
            dev: queries to evaluate on, over the first corpus.
            device: where the filters' cross-encoder computes.
            keep_indexes: see ``AnnMiner``.
            verbose: show progress.
        """
        filters = self.filters(device)
        corpora = sets.corpora
        if len(corpora) > 1 and self.reuse:
            raise UsageError(f"{self.reuse}: one index cannot stand for the {len(corpora)} corpora of these training sets")

        def miner(corpus: TrainingSet, queries: TrainingQueries) -> AnnMiner:
            return AnnMiner(
                queries,
                corpus.store,
                passages,
                depth=depth,
                filters=filters,
                backend=self.backend,
                rotation=self.rotation,
                evaluate=_evaluator(dev) if dev and corpus is corpora[0] else None,
                reuse=AnceIndex(self.reuse) if self.reuse else None,
                keep_indexes=keep_indexes,
                workers=self.workers,
                verbose=verbose,
            )

        if len(corpora) == 1:
            return miner(corpora[0], sets.queries)
        own = [sets.queries.of_corpus(corpus.documents) for corpus in corpora]
        miners = [miner(corpus, queries) for corpus, (_, queries) in zip(corpora, own, strict=True)]
        return JoinedMiner(miners, [rows for rows, _ in own], [corpus.first for corpus in corpora])


def _evaluator(dev: DevQueries) -> Callable[[AnceIndex, DenseEncoder], dict[str, float]]:
    queries, qrels = dev.judged()
    itself = counts_itself(dev.dataset.name)

    def measure(index: AnceIndex, model: DenseEncoder) -> dict[str, float]:
        retriever = index.retriever(model, _DEV_DEPTH + 1)
        found = (retriever % _DEV_DEPTH if itself else WithoutItself(retriever, _DEV_DEPTH)).transform(queries)
        values = evaluate(found, qrels, DEV_MEASURES)
        return {str(name): round(float(value), 4) for name, value in values.mean().items()}

    return measure
