"""Training a reader on a dataset's questions and answers, with negatives from wherever its first stage finds passages."""

from __future__ import annotations

import dataclasses
import logging
from functools import lru_cache
from pathlib import Path

from ance_ir.answers import Answers, answer_tokens
from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import TrainingError
from ance_ir.models import Reader
from ance_ir.notices import collected, examples
from ance_ir.training import ReaderObjective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.shared_queries import warn_of_shared_queries
from ance_ir.world import ALONE, World

logger = logging.getLogger(__name__)


def train_reader_on_dataset(
    dataset: Dataset,
    reader: Reader,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    negatives: str = "bm25",
    depth: int = 100,
    split: str = "train",
    world: World = ALONE,
    verbose: bool = False,
    tensorboard: bool = False,
) -> Reader:
    """Train a reader on a dataset's questions; what was broken off goes on.

    A question's positives are its relevant passages that hold an answer; negatives that hold one are left out.

    Args:
        dataset: passages, questions, judgements and answers.
        reader: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        negatives: where they come from: ``"random"``, the path of a TREC run file, or a system as ``Systems`` reads it, e.g. ``"bm25"``.
        depth: passages of a ranking that negatives are drawn from.
        split: the questions to train on.
        world: the processes that train together.
        verbose: show progress.
        tensorboard: write the log for TensorBoard as well.

    Returns:
        The trained reader.

    Raises:
        UsageError: the negatives are no system.
        DatasetNotFoundError: the split has no answers.
        TrainingError: no positive holds an answer, the folder holds another run, or training fails.
    """
    with collected() as notices:
        store = world.lead_first(lambda: dataset.store(verbose=verbose))
        queries, answers = answered(TrainingQueries.load(dataset, store, split), dataset, store, split)
        if world.leads:
            warn_of_shared_queries(dataset, queries, split)
        named = NamedNegatives(dataset, store, queries, split=split, depth=depth, device=str(reader.device))
        trainer = Trainer(
            ReaderObjective(reader, queries, answers, store, world),
            world.lead_first(lambda: named.make(negatives)),
            settings,
            folder,
            dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split},
            notices=notices,
            verbose=verbose,
            tensorboard=tensorboard,
        )
        return trainer.train()


def answered(queries: TrainingQueries, dataset: Dataset, store: DocumentStore, split: str) -> tuple[TrainingQueries, list[Answers]]:
    """The queries with those of their positives that hold an answer, and the answers; queries without such a positive are left out.

    Raises:
        TrainingError: no query is left.
    """
    given = dataset.answers(split)
    answers = {qid: Answers(texts) for qid, texts in zip(given["qid"], given["answers"], strict=True)}

    @lru_cache(maxsize=1024)
    def tokens(document: int) -> str:
        return answer_tokens(store[document]["text"])

    nothing = Answers([])
    holding = [
        positives[[answers.get(qid, nothing).are_in_tokens(tokens(int(document))) for document in positives]]
        for qid, positives in zip(queries.qids, queries.positives, strict=True)
    ]
    kept = [i for i, positives in enumerate(holding) if len(positives)]
    if not kept:
        raise TrainingError(
            f"{dataset.name}, split {split!r}: of {len(queries)} questions none has a relevant passage that holds an answer"
        )
    if len(kept) < len(queries):
        without = [qid for qid, positives in zip(queries.qids, holding, strict=True) if not len(positives)]
        told = "%d of %d training questions have no relevant passage that holds an answer and are left out (%s)"
        logger.warning(told, len(without), len(queries), examples(without))
    chosen = dataclasses.replace(
        queries,
        qids=[queries.qids[i] for i in kept],
        texts=[queries.texts[i] for i in kept],
        positives=[holding[i] for i in kept],
        excluded=[queries.excluded[i] for i in kept],
    )
    return chosen, [answers[qid] for qid in chosen.qids]
