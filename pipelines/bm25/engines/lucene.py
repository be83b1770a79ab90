"""Lucene as Anserini uses it, with RM3; needs Java.

Analysers and queries are Anserini's, and so is the index: ``lucene/`` in the index folder, with the fields ``id`` and ``contents`` and
document vectors, so Pyserini opens it.
"""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.datasets.languages import ENGLISH
from ance_ir.java import java_class, require_java
from ance_ir.pipelines.bm25.asking import ask_each
from ance_ir.pipelines.bm25.engine import NONE, RM3, Analysis, Found

_LANGUAGES = (
    *("ar", "bn", "da", "de", "es", "fa", "fi", "fr", "hi", "hu", "id", "it"),
    *("ja", "ko", "nl", "no", "pl", "pt", "ru", "sv", "te", "th", "tr", "uk", "zh"),
)
"""Those of Anserini's ``AnalyzerMap``."""

_FIELD = "contents"
_BUFFER = 256.0
"""Megabytes of new documents that Lucene holds in memory."""


class Lucene:
    """The engine; stop words are removed from documents and queries alike."""

    stemmers: tuple[str, ...] = ("porter", "krovetz", "none")
    stopwords: tuple[str, ...] = ("lucene", "none")
    languages: tuple[str, ...] = _LANGUAGES
    baked: tuple[str, ...] = ("stemmer", "stopwords", "language")
    has_rm3 = True

    def require(self) -> None:
        """Check that Java and Anserini are installed; does not start Java.

        Raises:
            MissingDependencyError: they are not.
        """
        require_java("lucene")

    @contextlib.contextmanager
    def writer(self, folder: Path, analysis: Analysis, threads: int) -> Iterator[Callable[[str, str], None]]:
        """Build an index, with one thread, so that documents keep their order."""
        index = "org.apache.lucene.index."
        config = java_class(f"{index}IndexWriterConfig")(_analyzer(analysis))
        config.setMergePolicy(java_class(f"{index}LogDocMergePolicy")())  # merges neighbours only, and so keeps the order as well
        config.setRAMBufferSizeMB(_BUFFER)
        writer = java_class(f"{index}IndexWriter")(_directory(folder), config)
        try:
            yield _adder(writer)
            writer.forceMerge(1)
            writer.commit()
        except BaseException:
            writer.rollback()
            raise
        writer.close()

    def open(self, folder: Path, analysis: Analysis, threads: int) -> LuceneSearcher:
        """Open an index."""
        return LuceneSearcher(folder, analysis, threads)


class LuceneSearcher:
    """An open index, closed when it is no longer used."""

    def __init__(self, folder: Path, analysis: Analysis, threads: int) -> None:
        self._reader = java_class("org.apache.lucene.index.DirectoryReader").open(_directory(folder))
        weakref.finalize(self, _close, self._reader, os.getpid()).atexit = False
        self._threads = threads
        self._analyzer = _analyzer(analysis)
        self._searchers: dict[tuple[float, float], Any] = {}
        self._bag = java_class("io.anserini.search.query.BagOfWordsQueryGenerator")()
        self._json = java_class("com.fasterxml.jackson.databind.ObjectMapper")()

    def __len__(self) -> int:
        return int(self._reader.numDocs())

    def search(self, queries: Sequence[Any], k: int, k1: float, b: float, *, verbose: bool = False) -> Found:
        """The best k documents of each query."""
        searcher = self._searcher(k1, b)

        def find(query: Any) -> tuple[list[int], list[float]]:
            # as one text: to fetch hits from Java one by one takes longer than to find them
            hits = json.loads(self._json.writeValueAsString(searcher.search(self._parse(query), k)))["scoreDocs"]
            return [hit["doc"] for hit in hits], [hit["score"] for hit in hits]

        return ask_each(find, queries, self._threads, verbose=verbose)

    def expand(self, queries: Sequence[str], first: Found, rm3: RM3, k1: float, b: float) -> list[Any]:
        """The queries as Anserini's RM3 makes them, with its filter on words and its other defaults."""
        search = "org.apache.lucene.search."
        score_doc, top_docs, total = (java_class(f"{search}{name}") for name in ("ScoreDoc", "TopDocs", "TotalHits"))
        equal = java_class(f"{search}TotalHits$Relation").EQUAL_TO
        scored_docs, context = java_class("io.anserini.search.ScoredDocs"), java_class("io.anserini.rerank.RerankerContext")
        analyze = java_class("io.anserini.analysis.AnalyzerUtils").analyze
        reranker = java_class("io.anserini.rerank.lib.Rm3Reranker")(
            self._analyzer, None, _FIELD, rm3.fb_terms, rm3.fb_docs, rm3.original_query_weight, False, True
        )
        arguments = java_class("io.anserini.search.SearchCollection$Args")()
        arguments.hits, arguments.arbitraryScoreTieBreak = 1, True  # what it finds itself is not used
        searcher = self._searcher(k1, b)
        expanded = []
        for row, query in enumerate(queries):
            among = slice(*np.searchsorted(first.rows, (row, row + 1)))
            hits = [score_doc(int(number), float(score)) for number, score in zip(first.numbers[among], first.scores[among], strict=True)]
            if not hits:
                expanded.append(query)
                continue
            feedback = scored_docs.fromTopDocs(top_docs(total(len(hits), equal), hits), searcher)
            asked = context(searcher, str(row), None, None, query, analyze(self._analyzer, query), None, arguments)
            reranker.rerank(feedback, asked)
            expanded.append(self._bag.buildQuery(_FIELD, asked.feedbackTerms))
        return expanded

    def _parse(self, query: Any) -> Any:
        return self._bag.buildQuery(_FIELD, self._analyzer, query) if isinstance(query, str) else query

    def _searcher(self, k1: float, b: float) -> Any:
        kind = java_class("org.apache.lucene.search.IndexSearcher")  # asked for each time: it notices a fork
        if (k1, b) not in self._searchers:
            kind.setMaxClauseCount(2**31 - 1)  # a query may be a whole document
            searcher = kind(self._reader, signature="(Lorg/apache/lucene/index/IndexReader;)V")
            searcher.setSimilarity(java_class("org.apache.lucene.search.similarities.BM25Similarity")(k1, b))
            self._searchers[k1, b] = searcher
        return self._searchers[k1, b]


def _analyzer(analysis: Analysis) -> Any:
    """Anserini's analyser of English: possessives, lower case, stop words, stemmer; that of Lucene which Anserini takes for another
    language; or, without a stemmer, words as Unicode bounds them, in lower case.
    """
    if analysis.language != ENGLISH:
        if analysis.stemmer == NONE:
            return java_class("org.apache.lucene.analysis.standard.StandardAnalyzer")()
        return java_class("io.anserini.analysis.AnalyzerMap").getLanguageSpecificAnalyzer(analysis.language)
    english, words = java_class("io.anserini.analysis.DefaultEnglishAnalyzer"), java_class("org.apache.lucene.analysis.CharArraySet")
    kept = [] if analysis.stopwords == "lucene" else [words.EMPTY_SET]
    if analysis.stemmer == "none":
        return english.newNonStemmingInstance(*kept)
    return english.newStemmingInstance(analysis.stemmer, *kept)


def _directory(folder: Path) -> Any:
    return java_class("org.apache.lucene.store.FSDirectory").open(java_class("java.nio.file.Paths").get(str(folder.absolute() / "lucene")))


def _adder(writer: Any) -> Callable[[str, str], None]:
    """A function that adds a document; Lucene copies what is in the fields, so there is one document, filled again and again."""
    fields = "org.apache.lucene.document."
    text, number = java_class(f"{fields}Field"), java_class(f"{fields}StringField")
    kind = java_class(f"{fields}FieldType")()
    kind.setIndexOptions(java_class("org.apache.lucene.index.IndexOptions").DOCS_AND_FREQS)
    kind.setStoreTermVectors(True)
    kind.freeze()
    of_text = "(Ljava/lang/String;Ljava/lang/CharSequence;Lorg/apache/lucene/index/IndexableFieldType;)V"
    contents = text(_FIELD, java_class("java.lang.String")(""), kind, signature=of_text)
    docno_field = number("id", "", java_class(f"{fields}Field$Store").YES)
    to_bytes = java_class("org.apache.lucene.util.BytesRef")
    sorting = java_class(f"{fields}BinaryDocValuesField")("id", to_bytes(b" "))
    document = java_class(f"{fields}Document")()
    for field in (docno_field, sorting, contents):
        document.add(field)

    def add(docno: str, line: str) -> None:
        docno_field.setStringValue(docno)
        sorting.setBytesValue(to_bytes(docno.encode()))
        contents.setStringValue(line)
        writer.addDocument(document)

    return add


def _close(reader: Any, process: int) -> None:
    if process == os.getpid():
        reader.close()


ENGINE = Lucene()
