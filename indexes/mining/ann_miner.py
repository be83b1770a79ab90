"""A refresh: encode the corpus with the current model, search it with the training queries, keep the candidates for negatives.

The corpus is searched by ``CandidateSearch``; the parts that several processes encode are those of ``CorpusEncoding``.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.errors import UsageError
from ance_ir.files import remove_folder
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.ann.settings import checked_backend
from ance_ir.indexes.cluster.connection import is_cluster
from ance_ir.indexes.cluster.encoding import PartTasks
from ance_ir.indexes.mining.filters import Filters
from ance_ir.indexes.mining.search import CandidateSearch
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.models import DenseEncoder, Encoding, PassageScheme
from ance_ir.training import MinedNegatives, TrainingQueries

logger = logging.getLogger(__name__)

DEPTH = 200
"""The paper draws from the 200 documents that the model ranks first (section 5)."""

_INDEX = "index.ance"


class AnnMiner:
    """Mines negatives with an index of the whole corpus. Several processes may share a refresh: one leads, the others help to encode.

    A refresh leaves in its folder ``index.ance`` (the encoded corpus) and the files of ``MinedNegatives``.

    Args:
        queries: the training queries.
        store: the corpus; its numbers are the index's.
        passages: how documents are cut.
        depth: how many *documents* of the ranking are candidates, not counting those that a query excludes.
        filters: which candidates are safe; by default all.
        backend: how the index is searched, see ``SearchableIndex.searcher``; for a family of Faiss's, each refresh builds one and reports
            how many of the candidates of exact search it finds, on a sample of the queries. A Ray cluster encodes the corpus as well.
        rotation: each refresh mines for one of so many parts of the queries in turn (the first for all); the others keep their candidates.
        evaluate: called with a new index and the model; its figures join the report, and the corpus is encoded only once.
        reuse: an index that the initial model made of an earlier state of the corpus.
        keep_indexes: keep all indexes; by default each refresh removes those before it. Where the passage tower is not trained they are
            the same files.
        workers: processes that read and tokenise the corpus, see ``CorpusEncoding``.
        verbose: show progress.
    """

    def __init__(
        self,
        queries: TrainingQueries,
        store: DocumentStore,
        passages: PassageScheme,
        *,
        depth: int = DEPTH,
        filters: Filters | None = None,
        backend: str = "exact",
        rotation: int = 1,
        evaluate: Callable[[AnceIndex, DenseEncoder], dict[str, float]] | None = None,
        reuse: AnceIndex | None = None,
        keep_indexes: bool = False,
        workers: int | None = 0,
        verbose: bool = False,
    ) -> None:
        if depth < 1:
            raise UsageError(f"depth must be at least 1 document, not {depth}")
        if not 1 <= rotation <= len(queries):
            raise UsageError(f"rotation over {len(queries)} queries must be 1 to {len(queries)}, not {rotation}")
        if checked_backend(backend) == "tuned":
            raise UsageError("backend tuned: the index of a refresh is new, and nobody has tuned it; name a family, such as hnsw+sq8")
        filters = filters or Filters()
        self.settings: Mapping[str, Any] = {
            "depth": depth,
            "rotation": rotation,
            "keep_indexes": keep_indexes,
            **filters.settings,
            **({"backend": backend} if backend != "exact" else {}),  # which earlier versions did not have
        }
        self.evaluates = evaluate is not None
        self._queries = queries
        self._store = store
        self._passages = passages
        self._candidates = CandidateSearch(queries, store, depth=depth, filters=filters, backend=backend, verbose=verbose)
        self._cluster = backend if is_cluster(backend) else None
        self._rotation = rotation
        self._evaluate = evaluate
        self._reuse = reuse
        if reuse is not None:
            Reuse.check(reuse)
        self._keep_indexes = keep_indexes
        self._workers = workers
        self._verbose = verbose
        self._work: CorpusEncoding | None = None

    def __repr__(self) -> str:
        usual = {"depth": DEPTH, "rotation": 1, "keep_indexes": False, **Filters().settings}
        changed = "".join(f", {name}={value!r}" for name, value in self.settings.items() if value != usual.get(name))
        return f"AnnMiner({len(self._queries):,} queries{changed})"

    def help(self, model: DenseEncoder, folder: Path) -> None:
        """Encode parts of the corpus for the process that leads; see ``Miner.help``."""
        self._encoding(model, folder).help()

    def mine(self, model: DenseEncoder, folder: Path, step: int, previous: MinedNegatives | None) -> None:
        """Encode, search, publish; see ``Miner.mine``."""
        if MinedNegatives.available(folder):
            return
        began = time.perf_counter()
        encoding, index = self._index(model, folder)
        encoded = time.perf_counter()
        chosen = np.arange(len(self._queries))
        serial = 0
        if previous is not None:
            serial = previous.report["refresh"] + 1
            chosen = chosen[chosen % self._rotation == serial % self._rotation]
        mined = self._candidates.search(model, index, folder, chosen, previous)
        report = {"mined_at": step, "refresh": serial, "encode_seconds": round(encoded - began, 2), **mined.report}
        report |= {"documents_encoded": encoding.encoded}
        if self._evaluate is not None:
            report["dev"] = self._evaluate(index, model)
        replace(mined, report=report).publish(folder)
        if not self._keep_indexes:
            for old in self._earlier(folder):
                with contextlib.suppress(OSError):
                    remove_folder(old)

    def measure(self, model: DenseEncoder, folder: Path, *, leads: bool) -> Mapping[str, float]:
        """Encode and evaluate; see ``Miner.measure``."""
        assert self._evaluate is not None
        if leads:
            return self._evaluate(self._index(model, folder)[1], model)
        self.help(model, folder)
        return {}

    def _index(self, model: DenseEncoder, folder: Path) -> tuple[CorpusEncoding, AnceIndex]:
        """The corpus, encoded by the model."""
        encoding = self._encoding(model, folder)
        with contextlib.suppress(FileNotFoundError, shutil.Error):  # another process that mines may be removing them
            any(encoding.adopt(index) for index in self._earlier(folder))  # where the passage tower is not trained
        return encoding, encoding.lead(PartTasks(self._cluster, encoding, cores=1) if self._cluster else None)

    def _earlier(self, folder: Path) -> list[Path]:
        """The indexes of the other refreshes of this corpus, the newest first."""
        several = folder.parent.name.startswith(("step-", "last"))  # corpora, each of which has a folder within
        refresh = folder.parent if several else folder
        others = sorted(refresh.parent.glob("step-*"), reverse=True)
        return [other / folder.relative_to(refresh) / _INDEX for other in others if other != refresh]

    def _encoding(self, model: DenseEncoder, folder: Path) -> CorpusEncoding:
        path = folder / _INDEX
        if self._work is None or self._work.folder != path:  # once a refresh, as it hashes the model
            reuse = self._reuse
            if reuse is not None and not Encoding.of(model, str(self._passages)).same_model(reuse.manifest["encoding"]):
                reuse = None  # training has changed the model
            self._work = CorpusEncoding(path, self._store, model, self._passages, reuse=reuse, workers=self._workers, verbose=self._verbose)
        return self._work
