"""What scores training pairs for a student to learn from: a cross-encoder that is asked, or scores that are there.

Shapes: B queries, K documents of each, P pairs, N documents of the corpus.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.digests import digest_bytes
from ance_ir.errors import TrainingError
from ance_ir.models import CrossEncoder, PassageScheme
from ance_ir.training.pairs import Pairs
from ance_ir.training.queries import TrainingQueries

logger = logging.getLogger(__name__)


class Teacher(Protocol):
    """Scores pairs of training queries and documents.

    Attributes:
        manifest: its part of the run's manifest.
    """

    manifest: Mapping[str, Any]

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        """Scores of documents for queries, all by their numbers: float32 ``[B, K]``."""
        ...


class Unasked:
    """Stands in for a teacher where scores do not matter: all are 0."""

    def __init__(self) -> None:
        self.manifest: Mapping[str, Any] = {}

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        """See ``Teacher.scores``."""
        return np.zeros(documents_BK.shape, dtype=np.float32)


class AskedTeacher:
    """A cross-encoder, which reads every pair when it is asked.

    Args:
        model: the cross-encoder; its log-odds are the scores.
        queries: the training queries.
        store: the documents' texts.
        passages: how a document is cut; it scores as its best passage.

    Raises:
        UsageError: a scheme that the model cannot take.
    """

    def __init__(self, model: CrossEncoder, queries: TrainingQueries, store: NumberedDocuments, passages: PassageScheme) -> None:
        model.tokenizer.pairs([""], [""], passages)  # such a scheme shows before a folder is claimed
        self._model = model
        self._queries = queries
        self._store = store
        self._passages = passages
        self.manifest: Mapping[str, Any] = {"name": model.name, "fingerprint": model.fingerprint()}

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        """See ``Teacher.scores``."""
        asked = [self._queries.texts[query] for query in np.repeat(queries_B, documents_BK.shape[1])]
        texts = [self._model.settings.join(self._store[number]) for number in documents_BK.ravel().tolist()]
        with torch.autocast(self._model.device.type, enabled=False):
            return self._model.log_odds(asked, texts, self._passages).reshape(documents_BK.shape)


class ScoredPairs:
    """Scores that were computed before. Memory: 12 bytes a pair.

    Args:
        queries: the training queries.
        store: the corpus.
        pairs: with their scores; those without one are left out. Of a pair that comes with several scores the first counts.
        name: what the scores are called.
        others: is asked for pairs that have no score.

    Raises:
        TrainingError: no pair has a score, or one is not finite; or, where there is nobody to ask, a query's positive has none.
    """

    def __init__(self, queries: TrainingQueries, store: NumberedDocuments, pairs: Pairs, name: str, others: Teacher | None = None) -> None:
        self._queries = queries
        self._store = store
        self._name = name
        self._others = others
        pairs = pairs.where(~np.isnan(pairs.scores))
        if not len(pairs.scores):
            raise TrainingError(f"{name}: none of its scores is of a training query and a document of the corpus")
        if len(infinite := np.flatnonzero(np.isinf(pairs.scores))):
            raise TrainingError(
                f"{name}: finite scores were expected; that of {self._pair(pairs.queries, pairs.documents, infinite[0])} is not"
            )
        keys = pairs.queries * queries.documents + pairs.documents
        self._keys, first, places = np.unique(keys, return_index=True, return_inverse=True)
        self._scores = pairs.scores[first]
        if differing := int((pairs.scores != self._scores[places]).sum()):
            logger.warning("%s: %d scores differ from an earlier one of the same pair, which counts", name, differing)
        asks = {"others": others.manifest} if others is not None else {}
        self.manifest: Mapping[str, Any] = {"name": name, "fingerprint": digest_bytes([self._keys.data, self._scores.data]), **asks}
        if others is None:
            counts = [len(positives) for positives in queries.positives]
            self._check(np.repeat(np.arange(len(queries)), counts), np.concatenate(queries.positives))

    def candidates(self) -> list[np.ndarray]:
        """Of each query the documents that have a score, int64, ascending."""
        queries, documents = np.divmod(self._keys, self._queries.documents)
        return np.split(documents, np.searchsorted(queries, np.arange(1, len(self._queries))))

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        """See ``Teacher.scores``.

        Raises:
            TrainingError: a pair has no score, and there is nobody to ask.
        """
        asked = np.repeat(queries_B, documents_BK.shape[1])
        places, known = self._find(asked, documents_BK.ravel())
        found = self._scores[places]
        if not known.all():
            if self._others is None:
                self._check(asked, documents_BK.ravel())
            else:
                unknown = np.flatnonzero(~known)
                found[unknown] = self._others.scores(asked[unknown], documents_BK.ravel()[unknown, None])[:, 0]
        return np.reshape(found, documents_BK.shape)

    def _find(self, queries: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each pair is, and whether it is there."""
        keys = queries * self._queries.documents + documents
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return places, self._keys[places] == keys

    def _check(self, queries: np.ndarray, documents: np.ndarray) -> None:
        """Refuse pairs that have no score."""
        known = self._find(queries, documents)[1]
        if not known.all():
            raise TrainingError(
                f"{self._name}: {int((~known).sum())} of {len(known)} pairs of a training query and a document have no score, e.g. "
                f"{self._pair(queries, documents, np.argmin(known))}; score them, or name a teacher as well, which is then asked for these"
            )

    def _pair(self, queries: np.ndarray, documents: np.ndarray, row: np.intp) -> str:
        return f"query {self._queries.qids[queries[row]]!r} with {self._store.docnos(documents[row]).item()!r}"
