"""Facts of published collections by their names, the same for a folder and for ``ir_datasets``."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["passages", "documents", "open QA"]

_BEIR_NAMES = {
    *("arguana", "bioasq", "climate-fever", "cqadupstack", "dbpedia-entity", "fever", "fiqa", "hotpotqa", "nfcorpus", "quora", "robust04"),
    *("scidocs", "scifact", "signal1m", "trec-covid", "trec-news", "webis-touche2020"),
}
"""BEIR's collections except nq and msmarco: a dataset of that name is seldom BEIR's."""

_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"msmarco-document(-v2)?(/.*)?|trec-dl-20\d\d/document", "documents"),
    (r"msmarco-passage(-v2)?(/.*)?|trec-dl-20\d\d(/passage|/judged)?", "passages"),
    (r"(nq|triviaqa|trivia-qa|curated-trec|dpr-w100)(/.*)?", "open QA"),
)


def is_beir(name: str) -> bool:
    """Whether a dataset's name is that of a collection of BEIR: ``beir/arguana``, ``arguana``."""
    first = name.lower().split("/")[0]
    return first == "beir" or first in _BEIR_NAMES


def kind_of(name: str) -> Kind | None:
    """The kind of a collection's documents, by its name; ``None`` if it is not known."""
    if is_beir(name):
        return "passages"
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, name.lower())), None)


def counts_itself(name: str) -> bool:
    """Whether a result counts whose docno is the query's qid. Not in BEIR's collections, where queries of ArguAna and Quora are documents
    too (``ignore_identical_ids`` of BEIR's evaluation).
    """
    return not is_beir(name)
