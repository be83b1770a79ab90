"""The BM25 indexes of datasets, in the cache folder."""

from __future__ import annotations

from ance_ir.datasets import Dataset
from ance_ir.datasets.languages import ENGLISH, language_code
from ance_ir.files import cache_folder
from ance_ir.locks import make_once
from ance_ir.pipelines.bm25.engine import NONE, find_analysis
from ance_ir.pipelines.bm25.engines import ENGINES, default_engine
from ance_ir.pipelines.bm25.index import BM25Index


def dataset_bm25(
    dataset: Dataset,
    *,
    build: bool = True,
    engine: str | None = None,
    stemmer: str | None = None,
    stopwords: str | None = None,
    language: str | None = None,
) -> BM25Index:
    """The BM25 index of a dataset's documents: built in the cache folder on first use, then reopened; one for each engine and analysis.

    Args:
        dataset: its documents are indexed.
        build: build it if it is not there; otherwise there may be none yet.
        engine: see ``BM25Index``; by default ``lucene`` for another language than English, unless the stemmer is ``none``.
        stemmer: see ``BM25Index``.
        stopwords: see ``BM25Index``.
        language: see ``BM25Index``; by default the one that the dataset's metadata names, English where they name none.

    Raises:
        UsageError: there is no such engine, language, stemmer or list.
        MissingDependencyError: something that the engine needs is not installed.
    """
    language = language_code(language or dataset.language or ENGLISH)
    engine = engine or (default_engine() if language == ENGLISH or stemmer == NONE else "lucene")
    chosen = ENGINES.find(engine)
    analysis, default = find_analysis(chosen, stemmer, stopwords, language), find_analysis(chosen, None, None)
    parts = [dataset.corpus_key, *([] if engine == "pisa" else [engine])]
    parts += [f"{name}-{getattr(analysis, name)}" for name in chosen.baked if getattr(analysis, name) != getattr(default, name)]
    path = cache_folder() / "bm25" / "-".join(parts)
    index = BM25Index(path, engine=engine, stemmer=stemmer, stopwords=stopwords, language=language)
    if build:
        make_once(index.path, index.built, lambda: index.index(dataset.usable_documents()), "building the BM25 index")
    return index
