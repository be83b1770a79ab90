"""Training a reader on a dataset's questions and answers."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ance_ir.answers import Answers, answer_tokens
from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import TrainingError
from ance_ir.models import Reader
from ance_ir.notices import examples
from ance_ir.training import ReaderObjective, TrainingQueries, TrainingSettings
from ance_ir.workflows.training import DatasetTraining, opened, settings_of
from ance_ir.world import ALONE, World

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, repr=False)
class ReaderTraining(DatasetTraining):
    """What a reader is trained on; negatives are random ones, a run's or a system's."""


def train_reader_on_dataset(
    dataset: Dataset | Sequence[Dataset],
    reader: Reader,
    folder: Path | str,
    settings: TrainingSettings,
    how: ReaderTraining | None = None,
    *,
    world: World = ALONE,
    verbose: bool = False,
    report_to: Sequence[str] = (),
    **options: Any,
) -> Reader:
    """Train a reader on a dataset's questions; an interrupted run is resumed.

    A question's positives are its relevant passages that hold an answer; negatives that hold one are left out.

    Args:
        dataset: passages, questions, judgements and answers; or several, see ``train_on_dataset``.
        reader: where to start; trained in place.
        folder: of the run.
        settings: of the run.
        how: what is trained on.
        world: the processes that train together.
        verbose: show progress.
        report_to: see ``Trainer``.
        options: fields of ``how``, instead of it or changed in it.

    Returns:
        The trained reader.

    Raises:
        UsageError: the negatives cannot be read, or are not for readers.
        DatasetNotFoundError: the split has no answers.
        TrainingError: no positive holds an answer, the folder holds another run, or training fails.
    """
    how = settings_of(ReaderTraining, how, options)
    with opened(dataset, how, world, verbose=verbose) as data:
        found = [answered(one.queries, one.dataset, one.store, one.split) for one in data.sets]
        data = dataclasses.replace(data, sets=data.sets.with_queries([queries for queries, _ in found]))
        data.warn_of_shared_queries()
        answers = [of_query for _, of_set in found for of_query in of_set]
        objective = ReaderObjective(reader, data.queries, answers, data.store, world)
        negatives = data.negatives(reader.device)(how.negatives)
        return data.trainer(objective, negatives, settings, folder, verbose=verbose, report_to=report_to).train()


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
        message = "%d of %d training questions have no relevant passage that holds an answer and are left out (%s)"
        logger.warning(message, len(without), len(queries), examples(without))
    chosen = dataclasses.replace(
        queries,
        qids=[queries.qids[i] for i in kept],
        texts=[queries.texts[i] for i in kept],
        positives=[holding[i] for i in kept],
        excluded=[queries.excluded[i] for i in kept],
    )
    return chosen, [answers[qid] for qid in chosen.qids]
