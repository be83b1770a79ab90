"""Terrier as PyTerrier uses it; needs Java and Terrier's jars."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import IndexingError
from ance_ir.pipelines.bm25.engine import Analysis, Found
from ance_ir.pipelines.bm25.java import require_java, start_java


class Terrier:
    """The engine; stop words are removed from documents and queries alike."""

    stemmers: tuple[str, ...] = ("porter", "none")
    stopwords: tuple[str, ...] = ("terrier", "none")
    baked: tuple[str, ...] = ("stemmer", "stopwords")
    has_rm3 = False

    def require(self) -> None:
        """Check that its jars are there; they are never downloaded from here.

        Raises:
            MissingDependencyError: they are not.
        """
        require_java("terrier")

    @contextlib.contextmanager
    def writer(self, folder: Path, analysis: Analysis, threads: int) -> Iterator[Callable[[str, str], None]]:
        """Build an index, with one thread, so that documents keep their order. Terrier asks for documents, so they wait in a file."""
        waiting = folder / "documents.jsonl"
        with waiting.open("w", encoding="utf-8") as stream:
            yield lambda _, text: print(json.dumps(text), file=stream)
        _start()
        with waiting.open(encoding="utf-8") as stream:
            indexer = pt.terrier.IterDictIndexer(str(folder / "terrier"), stemmer=analysis.stemmer, stopwords=analysis.stopwords)
            indexer.index({"docno": str(number), "text": json.loads(line)} for number, line in enumerate(stream))
        waiting.unlink()

    def open(self, folder: Path, analysis: Analysis, threads: int) -> TerrierSearcher:
        """Open an index."""
        return TerrierSearcher(folder, threads)


class TerrierSearcher:
    """PyTerrier's retriever over an index."""

    def __init__(self, folder: Path, threads: int) -> None:
        _start()
        self._index = pt.terrier.IndexFactory.of(str((folder / "terrier").absolute()))
        self._threads = threads

    def __len__(self) -> int:
        return int(self._index.getCollectionStatistics().getNumberOfDocuments())

    def search(self, queries: Sequence[str], k: int, k1: float, b: float, *, verbose: bool = False) -> Found:
        """The best k documents of each query. Terrier gets the words alone: it would read signs as operators."""
        frame = pd.DataFrame(
            {"qid": np.arange(len(queries)).astype(str), "query": [" ".join(re.findall(r"\w+", query)) for query in queries]}
        )
        controls: Any = {"bm25.k_1": k1, "bm25.b": b}
        retriever: Any = pt.terrier.Retriever(
            self._index, wmodel="BM25", controls=controls, num_results=k, threads=self._threads, verbose=verbose
        )
        found = retriever.transform(frame[frame["query"] != ""])
        numbers = found["docno"].to_numpy(dtype=object).astype(np.int64)
        return Found(found["qid"].to_numpy(dtype=object).astype(np.int64), numbers, found["score"].to_numpy(np.float32))


def _start() -> None:
    """Start Java with Terrier.

    Raises:
        IndexingError: Java runs already without Terrier.
    """
    if pt.java.started():
        return
    start_java("terrier")
    if not pt.java.started():
        raise IndexingError(
            "Java runs in this process already, without Terrier's jars: use the engine terrier before anything else starts Java"
        )


ENGINE = Terrier()
