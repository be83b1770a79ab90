"""Training on a dataset by the name of a negative-sampling scheme, evaluated as it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.eval.measures import evaluate
from ance_ir.indexes import AnceIndex, AnnNegatives
from ance_ir.indexes.negatives import DEPTH
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.pipelines import dataset_bm25
from ance_ir.training import (
    CandidateNegatives,
    DenseObjective,
    NegativeSource,
    RandomNegatives,
    Trainer,
    TrainingQueries,
    TrainingSettings,
)

SCHEMES = ("ance", "bm25", "random")
DEV_MEASURES = ("RR@10", "nDCG@10", "R@100")
_DEV_DEPTH = 100


def train_on_dataset(
    dataset: Dataset,
    model: DenseEncoder,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    scheme: str,
    passages: PassageScheme,
    depth: int = DEPTH,
    split: str = "train",
    dev_split: str | None = None,
    keep_indexes: bool = False,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
) -> DenseEncoder:
    """Train a model on a dataset's queries; what was broken off goes on.

    Args:
        dataset: documents, queries and judgements.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        scheme: where negatives come from: ``"ance"``, ``"bm25"`` or ``"random"``.
        passages: how documents are cut.
        depth: documents of a ranking that ``ance`` and ``bm25`` negatives are drawn from.
        split: the queries to train on.
        dev_split: queries to evaluate on at each refresh, from the vectors just made.
        keep_indexes: keep the index of every refresh.
        say: told in a line what each refresh found.
        verbose: show progress.

    Returns:
        The trained model.

    Raises:
        UsageError: an unknown scheme.
        TrainingError: the folder holds another run, or training fails.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"negatives come from {', '.join(SCHEMES)}, not {scheme!r}")
    store = dataset.store(verbose=verbose)
    queries = TrainingQueries.load(dataset, store, split)
    source: NegativeSource[DenseEncoder]
    if scheme == "random":
        source = RandomNegatives(queries)
    elif scheme == "bm25":
        # some of what is found will be excluded; the depth counts what is left
        most_excluded = max(len(excluded) for excluded in queries.excluded)
        run = dataset_bm25(dataset).retriever(depth + most_excluded, verbose=verbose).transform(dataset.queries(split))
        source = CandidateNegatives.from_run(queries, run, store, depth=depth, name="bm25")
    else:
        source = AnnNegatives(
            queries,
            store,
            passages,
            depth=depth,
            evaluate=_evaluator(dataset, dev_split) if dev_split else None,
            keep_indexes=keep_indexes,
            verbose=verbose,
        )
    trainer = Trainer(
        DenseObjective(model, queries, store, passages),
        source,
        settings,
        folder,
        dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split},
        verbose=verbose,
    )
    return trainer.train(None if say is None else lambda step, report: say(_line(step, report)))


def _evaluator(dataset: Dataset, split: str) -> Callable[[AnceIndex, DenseEncoder], dict[str, float]]:
    queries, qrels = dataset.queries(split), dataset.qrels(split)
    queries = queries[queries["qid"].isin(qrels["qid"])]

    def measure(index: AnceIndex, model: DenseEncoder) -> dict[str, float]:
        values = evaluate(index.retriever(model, _DEV_DEPTH).transform(queries), qrels, DEV_MEASURES)
        return {f"{split} {name}": round(float(value), 4) for name, value in values.mean().items()}

    return measure


def _line(step: int, report: dict[str, Any]) -> str:
    found = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in report.items())
    return f"refresh at step {step}: {found}"
