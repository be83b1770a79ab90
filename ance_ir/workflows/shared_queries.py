"""Training queries that are asked again where the trained model is evaluated."""

from __future__ import annotations

import logging

from ance_ir.datasets import Dataset, FileDataset
from ance_ir.eval.rankings import same_text
from ance_ir.notices import examples
from ance_ir.training import TrainingQueries

logger = logging.getLogger(__name__)

_FEW = 0.01
"""A smaller share of the queries of a split is usual, for questions repeat themselves; the doctor counts it all the same."""


def warn_of_shared_queries(dataset: Dataset, queries: TrainingQueries, split: str, dev_split: str | None = None) -> None:
    """Warn of training queries that are among those of the dev split or of the test split, by their texts.

    Args:
        dataset: of both.
        queries: to train on.
        split: theirs.
        dev_split: queries to evaluate on meanwhile.
    """
    others = [other for other in (dev_split, "test") if other in dataset.splits]
    texts: dict[str, str] = {}
    for other in dict.fromkeys(filter(None, others)):
        if other == split != dev_split and not isinstance(dataset, FileDataset):
            continue  # sources with one set of queries call it so, also when it is for training
        texts = texts or {same_text(text): qid for qid, text in zip(queries.qids, queries.texts, strict=True)}
        asked = dataset.queries(other)["query"].map(same_text)
        shared = [texts[text] for text in dict.fromkeys(asked) if text and text in texts]
        if len(shared) >= _FEW * len(asked) > 0:
            message = "%d of %d training queries are among those of split %r (%s): a model that is trained on them has seen their answers"
            logger.warning(message, len(shared), len(queries), other, examples(shared))
