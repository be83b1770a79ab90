"""The BM25 engines, a module each; ``bm25.engine`` defines them."""

import logging

from ance_ir import registries
from ance_ir.errors import MissingDependencyError
from ance_ir.pipelines.bm25.engine import Engine
from ance_ir.registry import Registry

__all__ = ["ENGINES", "default_engine"]

ENGINES: Registry[Engine] = registries.BM25_ENGINES

_USUAL, _INSTEAD = "pisa", "lucene"

logger = logging.getLogger(__name__)


def default_engine() -> str:
    """The engine where none is named: ``pisa``; where that is not installed and ``lucene`` is, that one, with a warning."""
    try:
        ENGINES[_USUAL].require()
    except MissingDependencyError:
        try:
            ENGINES[_INSTEAD].require()
        except MissingDependencyError:
            return _USUAL  # its error says what to install
        logger.warning("BM25 by Lucene: PISA is not installed here (it has wheels for Linux on x86-64 alone)")
        return _INSTEAD
    return _USUAL
