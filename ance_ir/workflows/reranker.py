"""Training a reranker on a dataset, with negatives from wherever its first stage finds documents; evaluated as it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ance_ir.datasets import Dataset
from ance_ir.eval.measures import evaluate, judged_split
from ance_ir.models import CrossEncoder
from ance_ir.notices import collected
from ance_ir.pipelines import BertReranker, dataset_bm25
from ance_ir.training import RerankerObjective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.shared_queries import warn_of_shared_queries
from ance_ir.world import ALONE, World

DEV_MEASURES = ("RR@10", "nDCG@10")


def train_reranker_on_dataset(
    dataset: Dataset,
    model: CrossEncoder,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    loss: str = "nll",
    negatives: str = "bm25",
    depth: int = 100,
    split: str = "train",
    dev_split: str | None = None,
    dev_depth: int = 20,
    world: World = ALONE,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
    tensorboard: bool = False,
) -> CrossEncoder:
    """Train a reranker on a dataset's queries; what was broken off goes on.

    Args:
        dataset: documents, queries and judgements.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        loss: see ``RerankerObjective``.
        negatives: where they come from: ``"random"``, the path of a TREC run file, or a system as ``Systems`` reads it, e.g. ``"bm25"``.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on.
        dev_split: queries to evaluate on at each checkpoint and at the end, by reranking what BM25 finds.
        dev_depth: documents a query that are reranked then.
        world: the processes that train together.
        say: told in a line what each evaluation found.
        verbose: show progress.
        tensorboard: write the log for TensorBoard as well.

    Returns:
        The trained model.

    Raises:
        UsageError: the negatives are no system.
        TrainingError: the folder holds another run, or training fails.
    """
    with collected() as notices:
        store = world.lead_first(lambda: dataset.store(verbose=verbose))
        queries = TrainingQueries.load(dataset, store, split)
        if world.leads:
            warn_of_shared_queries(dataset, queries, split, dev_split)
        named = NamedNegatives(dataset, store, queries, split=split, depth=depth, device=str(model.device))
        trainer = Trainer(
            RerankerObjective(model, queries, store, loss, world),
            world.lead_first(lambda: named.make(negatives)),
            settings,
            folder,
            dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split},
            evaluate=_evaluator(dataset, model, dev_split, dev_depth, say) if dev_split and world.leads else None,
            notices=notices,
            verbose=verbose,
            tensorboard=tensorboard,
        )
        return trainer.train()


def _evaluator(
    dataset: Dataset, model: CrossEncoder, split: str, depth: int, say: Callable[[str], object] | None
) -> Callable[[int], Mapping[str, float]]:
    queries, qrels = judged_split(dataset, split)
    first = dataset_bm25(dataset).retriever(depth).transform(queries)
    found = dataset.text_loader(model.settings.fields).transform(first)
    reranker = BertReranker(model)

    def measure(step: int) -> dict[str, float]:
        values = evaluate(reranker.transform(found), qrels, DEV_MEASURES)
        if say is not None:
            say(f"after step {step}: {', '.join(f'{split} {name} {value:.4f}' for name, value in values.mean().items())}")
        return {str(name): round(float(value), 4) for name, value in values.mean().items()}

    return measure
