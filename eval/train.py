"""Training on a dataset by the name of a negative-sampling scheme, evaluated as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.eval.measures import evaluate
from ance_ir.eval.negatives import NamedNegatives
from ance_ir.indexes import AnceIndex, AnnNegatives
from ance_ir.indexes.negatives import DEPTH
from ance_ir.models import CrossEncoder, DenseEncoder, PassageScheme
from ance_ir.training import DenseObjective, DistillationName, LossName, Trainer, TrainingQueries, TrainingSettings, WarmUp

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
    warm_up: str | None = None,
    warm_up_until: int | None = None,
    loss: LossName | DistillationName | None = None,
    teacher: CrossEncoder | None = None,
    dimensions: Sequence[int] = (),
    grad_cache: bool = False,
    keep_indexes: bool = False,
    say: Callable[[str], object] | None = None,
    verbose: bool = False,
    tensorboard: bool = False,
) -> DenseEncoder:
    """Train a model on a dataset's queries; what was broken off goes on.

    Args:
        dataset: documents, queries and judgements.
        model: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        scheme: where negatives come from, as ``NamedNegatives`` reads it: ``"ance"``, ``"bm25+random"``, …
        passages: how documents are cut.
        depth: documents of a ranking that negatives are drawn from.
        split: the queries to train on.
        dev_split: queries to evaluate on at each refresh, from the vectors just made.
        warm_up: where they come from at first.
        warm_up_until: the step at which they change, one at which there is a refresh; the first refresh after step 0 by default.
        loss: see ``DenseObjective``; by default ``"nll"`` with in-batch negatives, else ``"pairwise-nll"``.
        teacher: likewise.
        dimensions: likewise.
        grad_cache: likewise.
        keep_indexes: keep the index of every refresh.
        say: told in a line what each refresh found.
        verbose: show progress.
        tensorboard: write the log for TensorBoard as well.

    Returns:
        The trained model.

    Raises:
        UsageError: an unknown scheme, or settings that do not fit together.
        TrainingError: the folder holds another run, or training fails.
    """
    store = dataset.store(verbose=verbose)
    queries = TrainingQueries.load(dataset, store, split)

    def mined() -> AnnNegatives:
        found = _evaluator(dataset, dev_split) if dev_split else None
        return AnnNegatives(queries, store, passages, depth=depth, evaluate=found, keep_indexes=keep_indexes, verbose=verbose)

    named = NamedNegatives(dataset, store, queries, split=split, depth=depth, device=str(model.device), mined=mined)
    source = named.make(scheme)
    if loss is None:
        loss = "nll" if source.in_batch == "all" else "pairwise-nll"
    if warm_up is None and warm_up_until is not None:
        raise UsageError(f"warm_up_until {warm_up_until} without a warm_up, which says where negatives come from until then")
    if warm_up is not None:
        until = settings.refresh_every if warm_up_until is None else warm_up_until
        if until < 1 or until % settings.refresh_every:
            raise UsageError(f"a warm-up ends at a refresh, that is at a multiple of {settings.refresh_every} steps, not at {until}")
        if until >= settings.steps:
            raise UsageError(f"the run ends after {settings.steps} steps, before the warm-up does, at {until}; let it end earlier")
        source = WarmUp(named.make(warm_up), source, until)
    trainer = Trainer(
        DenseObjective(model, queries, store, passages, loss=loss, teacher=teacher, dimensions=dimensions, grad_cache=grad_cache),
        source,
        settings,
        folder,
        dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split},
        verbose=verbose,
        tensorboard=tensorboard,
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
