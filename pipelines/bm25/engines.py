"""The engines there are."""

from __future__ import annotations

from ance_ir.errors import UsageError
from ance_ir.pipelines.bm25.engine import Analysis, Engine
from ance_ir.pipelines.bm25.lucene import Lucene
from ance_ir.pipelines.bm25.pisa import Pisa
from ance_ir.pipelines.bm25.terrier import Terrier

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Pisa(), Lucene(), Terrier())}


def find_engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ENGINES:
        raise UsageError(f"engine must be one of {', '.join(ENGINES)}, not {name!r}")
    return ENGINES[name]


def find_analysis(engine: Engine, stemmer: str | None, stopwords: str | None) -> Analysis:
    """An analysis that the engine has; its own defaults where nothing is named.

    Raises:
        UsageError: it has no such stemmer or list of stop words.
    """
    for name, value, known in (("stemmer", stemmer, engine.stemmers), ("stopwords", stopwords, engine.stopwords)):
        if value is not None and value not in known:
            raise UsageError(f"{name} must be one of {', '.join(known)} for the engine {engine.name}, not {value!r}")
    return Analysis(stemmer=stemmer or engine.stemmers[0], stopwords=stopwords or engine.stopwords[0])
