"""How a run mines its negatives: its trainer knows it from the settings, its inferencers from the run's manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ance_ir.brief import Brief
from ance_ir.datasets import DocumentStore, counts_itself
from ance_ir.eval.measures import evaluate
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining import AnnMiner, Filters
from ance_ir.models import CrossEncoder, DenseEncoder, PassageScheme
from ance_ir.pipelines import WithoutItself
from ance_ir.training import Draw, TrainingQueries
from ance_ir.workflows.dev import DevQueries

DEV_MEASURES = ("RR@10", "nDCG@10", "R@100")
_DEV_DEPTH = 100


@dataclass(frozen=True, kw_only=True, repr=False)
class Mining(Brief):
    """How ANCE's negatives are mined and drawn, apart from the depth of the ranking.

    Attributes:
        draw: see ``AnnNegatives``.
        rotation: see ``AnnMiner``.
        skip: see ``Filters``.
        margin: likewise.
        teacher: the name of the filters' cross-encoder.
        teacher_margin: see ``Filters``.
        reuse: an index of the model to start with, over an earlier state of the corpus; its folder.
    """

    draw: Draw = "uniform"
    rotation: int = 1
    skip: int = 0
    margin: float | None = None
    teacher: str | None = None
    teacher_margin: float = 0.0
    reuse: str | None = None

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any], reuse: str | None) -> Mining:
        """The settings of a run's trainer, without ``draw``: only the trainer draws."""
        refresh = manifest["refresh"]
        teacher = refresh["teacher"]["name"] if refresh["teacher"] else None
        kept = {name: refresh[name] for name in ("rotation", "skip", "margin", "teacher_margin")}
        return cls(teacher=teacher, reuse=reuse, **kept)

    def miner(
        self,
        store: DocumentStore,
        queries: TrainingQueries,
        passages: PassageScheme,
        *,
        depth: int,
        dev: DevQueries | None,
        device: str,
        keep_indexes: bool = False,
        verbose: bool = False,
    ) -> AnnMiner:
        """The miner.

        Args:
            store: the documents.
            queries: the training queries.
            passages: how documents are cut.
            depth: documents of a ranking that are candidates.
            dev: queries to evaluate on.
            device: where the filters' cross-encoder computes.
            keep_indexes: see ``AnnMiner``.
            verbose: show progress.
        """
        teacher = CrossEncoder.from_pretrained(self.teacher, device=device) if self.teacher else None
        return AnnMiner(
            queries,
            store,
            passages,
            depth=depth,
            filters=Filters(skip=self.skip, margin=self.margin, teacher=teacher, teacher_margin=self.teacher_margin),
            rotation=self.rotation,
            evaluate=_evaluator(dev) if dev else None,
            reuse=AnceIndex(self.reuse) if self.reuse else None,
            keep_indexes=keep_indexes,
            verbose=verbose,
        )


def _evaluator(dev: DevQueries) -> Callable[[AnceIndex, DenseEncoder], dict[str, float]]:
    queries, qrels = dev.judged()
    itself = counts_itself(dev.dataset.name)

    def measure(index: AnceIndex, model: DenseEncoder) -> dict[str, float]:
        retriever = index.retriever(model, _DEV_DEPTH + 1)
        found = (retriever % _DEV_DEPTH if itself else WithoutItself(retriever, _DEV_DEPTH)).transform(queries)
        values = evaluate(found, qrels, DEV_MEASURES)
        return {str(name): round(float(value), 4) for name, value in values.mean().items()}

    return measure
