"""Training a reranker on a dataset; its dev queries are evaluated by reranking BM25's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ance_ir.datasets import Dataset
from ance_ir.eval.measures import evaluate
from ance_ir.models import CrossEncoder
from ance_ir.models.adapters.lora import Lora
from ance_ir.pipelines import BertReranker, dataset_bm25
from ance_ir.training import RerankerObjective, TrainingSettings
from ance_ir.workflows.dev import DevQueries, described
from ance_ir.workflows.training import DatasetTraining, opened, settings_of
from ance_ir.world import ALONE, World

DEV_MEASURES = ("RR@10", "nDCG@10")


@dataclass(frozen=True, kw_only=True, repr=False)
class RerankerTraining(DatasetTraining):
    """What a reranker is trained on; negatives are random ones, a run's or a system's.

    Attributes:
        negatives: see ``DatasetTraining``.
        depth: likewise.
        split: likewise.
        loss: see ``RerankerObjective``.
        dev_split: queries to evaluate on at each checkpoint and at the end.
        dev_dataset: whose queries these are, see ``DenseTraining``.
        dev_depth: documents of a query that are reranked then.
        lora: see ``DenseTraining``.
    """

    loss: str = "nll"
    dev_split: str | None = None
    dev_dataset: Dataset | None = None
    dev_depth: int = 20
    lora: Lora | None = None


def train_reranker_on_dataset(
    dataset: Dataset | Sequence[Dataset],
    model: CrossEncoder,
    folder: Path | str,
    settings: TrainingSettings,
    how: RerankerTraining | None = None,
    *,
    world: World = ALONE,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
    report_to: Sequence[str] = (),
    **options: Any,
) -> CrossEncoder:
    """Train a reranker on a dataset's queries; an interrupted run is resumed.

    Args:
        dataset: documents, queries and judgements; or several, see ``train_on_dataset``.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        how: what is trained on.
        world: the processes that train together.
        say: called with a line about each evaluation.
        verbose: show progress.
        report_to: see ``Trainer``.
        options: fields of ``how``, instead of it or changed in it.

    Returns:
        The trained model.

    Raises:
        UsageError: the negatives cannot be read, or are not for rerankers.
        TrainingError: the folder holds another run, or training fails.
    """
    how = settings_of(RerankerTraining, how, options)
    with opened(dataset, how, world, verbose=verbose) as data:
        dev = DevQueries.of(data.dataset, how.dev_split, how.dev_dataset)
        data = data.evaluated_on(dev)
        if how.lora is not None:
            model.add_adapter(how.lora, settings.seed)
        objective = RerankerObjective(model, data.queries, data.store, how.loss, world)
        negatives = data.negatives(model.device)(how.negatives)
        evaluator = _evaluator(dev, model, how.dev_depth, say) if dev and world.leads else None
        shown = {"verbose": verbose, "report_to": report_to}
        return data.trainer(objective, negatives, settings, folder, described=described(dev), evaluate=evaluator, **shown).train()


def _evaluator(
    dev: DevQueries, model: CrossEncoder, depth: int, say: Callable[[str], object] | None
) -> Callable[[int], Mapping[str, float]]:
    queries, qrels = dev.judged()
    first = dataset_bm25(dev.dataset).retriever(depth).transform(queries)
    found = dev.dataset.text_loader(model.settings.fields).transform(first)
    reranker = BertReranker(model)

    def measure(step: int) -> dict[str, float]:
        means = evaluate(reranker.transform(found), qrels, DEV_MEASURES).mean()
        if say is not None:
            say(f"after step {step}: {', '.join(f'{dev.name} {name} {value:.4f}' for name, value in means.items())}")
        return {str(name): round(float(value), 4) for name, value in means.items()}

    return measure
