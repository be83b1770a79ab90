"""Terrier as PyTerrier uses it, with RM3; needs Java and Terrier's jars."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.languages import ENGLISH
from ance_ir.errors import IndexingError
from ance_ir.java import check_process, require_java, start_java
from ance_ir.pipelines.bm25.asking import ask_each
from ance_ir.pipelines.bm25.engine import RM3, Analysis, Found


class Terrier:
    """The engine; stop words are removed from documents and queries alike."""

    stemmers: tuple[str, ...] = ("porter", "none")
    stopwords: tuple[str, ...] = ("terrier", "none")
    languages: tuple[str, ...] = ()
    baked: tuple[str, ...] = ("stemmer", "stopwords", "language")
    has_rm3 = True

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
            settings: Any = {"stemmer": analysis.stemmer, "stopwords": analysis.stopwords, "tokeniser": _tokeniser(analysis)}
            pt.java.J.PTUtils.setLogLevel("ERROR", "org.terrier.structures.indexing.Indexer")  # it would warn of documents without words
            indexer = pt.terrier.IterDictIndexer(str(folder / "terrier"), **settings)
            indexer.index({"docno": str(number), "text": json.loads(line)} for number, line in enumerate(stream))
        waiting.unlink()

    def open(self, folder: Path, analysis: Analysis, threads: int) -> TerrierSearcher:
        """Open an index."""
        return TerrierSearcher(folder, analysis, threads)


_PLAIN = {"decorate": "off", "decorate_batch": "off"}
"""Controls of a request that has Terrier look up nothing about the results: their numbers are ours."""


class _Expanded(str):
    """A query in Terrier's language, its terms analysed and weighted."""


class TerrierSearcher:
    """PyTerrier's retrievers over an index, one for each k1 and b: to make one takes as long as a search."""

    def __init__(self, folder: Path, analysis: Analysis, threads: int) -> None:
        _start()
        self._index = pt.terrier.IndexFactory.of(str((folder / "terrier").absolute()))
        self._threads = threads
        self._tokeniser: Any = pt.terrier.TerrierTokeniser.java_tokeniser(_tokeniser(analysis))
        self._retrievers: dict[tuple[float, float], Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._index.getCollectionStatistics().getNumberOfDocuments())

    def search(self, queries: Sequence[str], k: int, k1: float, b: float, *, verbose: bool = False) -> Found:
        """The best k documents of each query."""
        check_process()

        def find(query: str) -> tuple[list[int], list[float]]:
            # not by PyTerrier's transform, which gets each result's docno, number and score from Java by a call of its own
            expanded = isinstance(query, _Expanded)
            words = str(query) if expanded else self._words(query)  # of strings, Java takes no subclass
            if not words:
                return [], []
            request = retriever.manager.newSearchRequest("", words)
            for name, value in controls.items():
                request.setControl(name, value)
            if expanded:
                request.setControl("applypipeline", "off")
            retriever.manager.runSearchRequest(request)
            results = pt.java.cast("org.terrier.querying.Request", request).getResultSet()
            return results.getDocids(), results.getScores()

        with self._lock:
            retriever = self._retriever(k1, b)
            controls = {name: str(value) for name, value in (retriever.controls | {"end": k - 1} | _PLAIN).items()}
            return ask_each(find, queries, self._threads, verbose=verbose)

    def expand(self, queries: Sequence[str], first: Found, rm3: RM3, k1: float, b: float) -> list[str]:
        """The queries as Terrier's RM3 makes them."""
        check_process()
        pt.java.J.PTUtils.setLogLevel("ERROR", "org.terrier.querying.RM1")  # it would warn of each document without a word to add
        model = pt.rewrite.RM3(self._index, fb_docs=rm3.fb_docs, fb_terms=rm3.fb_terms, fb_lambda=rm3.original_query_weight)
        results = pd.DataFrame(
            {
                "qid": first.rows.astype(str),
                "query": [self._words(queries[row]) for row in first.rows.tolist()],
                "docid": first.numbers,
                "score": first.scores.astype(float),
            }
        )
        expanded = list(queries)
        if len(results):
            found = model.transform(results)
            for row, query in zip(found["qid"].astype(int), found["query"], strict=True):
                expanded[row] = _Expanded(query.removeprefix("applypipeline:off "))
        return expanded

    def _words(self, query: str) -> str:
        """The words that Terrier finds in a text, without the signs that it would read as operators."""
        return " ".join(self._tokeniser.getTokens(query))

    def _retriever(self, k1: float, b: float) -> Any:
        if (k1, b) not in self._retrievers:
            controls: Any = {"bm25.k_1": k1, "bm25.b": b}
            self._retrievers[k1, b] = pt.terrier.Retriever(self._index, wmodel="BM25", controls=controls, threads=self._threads)
        return self._retrievers[k1, b]


def _tokeniser(analysis: Analysis) -> Any:
    """Terrier's for English splits words at other letters than ASCII's."""
    return pt.terrier.TerrierTokeniser("english" if analysis.language == ENGLISH else "utf")


def _start() -> None:
    """Start Java with Terrier, unless it runs.

    Raises:
        IndexingError: Java runs already without Terrier, or in the process that this one was forked from.
    """
    check_process()
    if not pt.java.started():
        start_java("terrier")
    if not pt.java.started():
        raise IndexingError(
            "Java runs in this process already, without Terrier's jars: use the engine terrier before anything else starts Java"
        )


ENGINE = Terrier()
