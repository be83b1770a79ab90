"""Which published checkpoint a word stands for, over a dataset."""

from __future__ import annotations

import itertools
import logging

from ance_ir.datasets import Dataset, kind_of
from ance_ir.errors import DatasetNotFoundError
from ance_ir.pipelines.systems.kind import Collection, Word

logger = logging.getLogger(__name__)

_LOOKED_AT = 100
_LONG = 256
"""Words that passages have at most, on average: what fits into the 512 tokens that the passage models read."""


def checkpoint_for(name: str, word: Word, dataset: Dataset) -> str:
    """The published checkpoint of a word for a dataset; warns which one was assumed if there are several.

    Args:
        name: the word.
        word: what it stands for.
        dataset: the dataset to search.
    """
    choices = word.checkpoints
    kind = collection_of(dataset)
    if len(set(choices.values())) > 1 and kind_of(dataset.name) is None:
        length = f"its documents have {'more than' if kind == 'documents' else 'at most'} {_LONG} words on average"
        logger.warning(
            "%s over %s: using %s, the checkpoint for %s, since %s; %s[model=NAME] uses another",
            *(name, dataset.name, choices[kind], kind, "it has answers" if kind == "open QA" else length, name),
        )
    return choices[kind]


def collection_of(dataset: Dataset) -> Collection:
    """The kind of a dataset: by its name if that is known; else ``open QA`` if its questions have answers, ``documents`` if its first 100
    documents have more than 256 words on average, and ``passages`` otherwise.
    """
    known = kind_of(dataset.name)
    if known is not None:
        return known
    if any(_has_answers(dataset, split) for split in dataset.splits):
        return "open QA"
    first = list(itertools.islice(dataset.usable_documents(), _LOOKED_AT))
    words = sum(len(document["text"].split()) for document in first)
    return "documents" if words > _LONG * len(first) else "passages"


def _has_answers(dataset: Dataset, split: str) -> bool:
    try:
        return bool(len(dataset.answers(split)))
    except DatasetNotFoundError:
        return False
