"""The protocol of BM25 engines: an engine builds the files of an index, and opens them for searching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ance_ir.choices import check_choice
from ance_ir.datasets.languages import ENGLISH, language_code
from ance_ir.errors import UsageError
from ance_ir.settings import as_integer, as_number

K1, B = 0.9, 0.4

NONE = "none"
"""The stemmer that leaves words as they are, and the list of no stop words."""
OWN = "lucene"
"""The stemmer and the list of stop words of other languages than English: those of Lucene's analyser of the language."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The analysis of texts: how words become terms.

    Attributes:
        stemmer: one of the engine's stemmers.
        stopwords: one of the engine's lists of words to leave out.
        language: the texts', by its code in ISO 639.
    """

    stemmer: str
    stopwords: str
    language: str = ENGLISH


@dataclass(frozen=True)
class RM3:
    """Query expansion by the relevance model of Abdul-Jaleel et al. (TREC 2004): words of the first documents are added to the query.

    Attributes:
        fb_docs: how many documents words are taken from.
        fb_terms: how many words are taken.
        original_query_weight: weight of the original query, 0 to 1; the added words have the rest.

    Raises:
        UsageError: a value is out of range.
    """

    fb_docs: int = 10
    fb_terms: int = 10
    original_query_weight: float = 0.5

    def __post_init__(self) -> None:
        try:
            as_integer(self.fb_docs, 1)
            as_integer(self.fb_terms, 1)
            as_number(self.original_query_weight, 0, 1)
        except UsageError:
            raise UsageError(f"RM3 needs at least 1 document and 1 term, and a weight from 0 to 1, not {self}") from None


class Found(NamedTuple):
    """Results: the row of the query among those given, the number of the document, the score; all ``[found]``."""

    rows: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


class Searcher(Protocol):
    """An index that an engine has opened."""

    def __len__(self) -> int:
        """Documents in the index."""

    def search(self, queries: Sequence[Any], k: int, k1: float, b: float, *, verbose: bool = False) -> Found:
        """The best k documents of each query that share a word with it, equal ones in any order; k is at most the number of documents.

        Args:
            queries: texts, or what ``expand`` made of them.
            k: documents a query, at most.
            k1: saturation of term frequencies.
            b: normalisation by document length.
            verbose: show progress.
        """


class Expander(Searcher, Protocol):
    """An opened index of an engine that has RM3."""

    def expand(self, queries: Sequence[str], first: Found, rm3: RM3, k1: float, b: float) -> list[Any]:
        """The queries, for ``search``, expanded with words of their first results."""


class Engine(Protocol):
    """Builds and opens indexes.

    Attributes:
        stemmers: those that it has for English, its default first.
        stopwords: the lists that it has for English, its default first.
        languages: the others that it analyses.
        baked: the parts of the analysis that are fixed once an index is built.
        has_rm3: whether its searchers are ``Expander``s.
    """

    stemmers: tuple[str, ...]
    stopwords: tuple[str, ...]
    languages: tuple[str, ...]
    baked: tuple[str, ...]
    has_rm3: bool

    def require(self) -> None:
        """Check that it can run here.

        Raises:
            MissingDependencyError: something is not installed.
        """

    def writer(self, folder: Path, analysis: Analysis, threads: int) -> AbstractContextManager[Callable[[str, str], None]]:
        """Build the files of an index in an empty folder: yields a function that takes the next document's docno and text, on one line."""

    def open(self, folder: Path, analysis: Analysis, threads: int) -> Searcher:
        """Open the files in a folder that the ``writer`` filled. Documents are numbered in the order in which they were added."""


def find_analysis(engine: Engine, stemmer: str | None, stopwords: str | None, language: str | None = None) -> Analysis:
    """An analysis that the engine has; its own defaults where nothing is named, English where no language is.

    Raises:
        UsageError: it does not have that language, or no such stemmer or list of stop words for it.
    """
    name, language = type(engine).__name__, ENGLISH if language is None else language_code(language)
    stemmers, lists = engine.stemmers, engine.stopwords
    if language != ENGLISH:
        if stemmer != NONE and language not in engine.languages:
            raise UsageError(
                f"{name} analyses texts in {', '.join((ENGLISH, *engine.languages))}, and not in the language {language!r}: "
                f"{'' if engine.languages else 'engine=lucene has more languages, and '}stemmer=none takes words as they are, and "
                "language=en, in place of what the data's metadata say, as English ones"
            )
        stemmers = (NONE,) if stemmer == NONE else (OWN, NONE)
        lists = (NONE,) if stemmer == NONE else (OWN,)
    return Analysis(
        stemmer=stemmers[0] if stemmer is None else check_choice(f"stemmer of {name}", stemmer, stemmers),
        stopwords=lists[0] if stopwords is None else check_choice(f"stop words of {name}", stopwords, lists),
        language=language,
    )
