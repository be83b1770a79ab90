"""BM25 that stems English, over documents in another language."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.datasets.languages import ENGLISH
from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    systems = [system for system, languages in case.evaluation.stemmed.items() if ENGLISH in languages]
    language = case.language() if systems and case.language is not None else None
    if language is None:
        return
    for system in systems:
        yield Finding(
            severity="warning",
            system=system,
            what=f"its BM25 stems English and leaves out English stop words, while the documents are in {language}",
            advice="bm25[engine=lucene; language=CODE] analyses many languages; stemmer=none takes words as they are",
        )
