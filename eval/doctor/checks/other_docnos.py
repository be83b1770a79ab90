"""Systems that find few or no relevant documents, perhaps because their docnos differ, unless the corpus has both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding

MET = 0.05
"""A smaller share of the relevant documents that could have been found is few."""

_LOOKED_UP = 1000
"""Docnos that are looked up in the corpus, about."""

_FORMS: Mapping[str, Callable[[str], str]] = {
    "letters are upper or lower case": str.casefold,
    "numbers are filled up with zeros": lambda docno: re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", docno),
    "a prefix stands before the number": lambda docno: re.sub(r"^\D*(?=\d)", "", docno),
    "a prefix and zeros stand before the number": lambda docno: re.sub(r"^\D*0*(?=\d)", "", docno),
    "passages are numbered after # or %": lambda docno: re.split("[#%]", docno)[0],
    "a file's ending follows": lambda docno: re.sub(r"\.\w+$", "", docno),
}
"""Ways in which the same docno may be written differently."""


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    relevant = pd.Index(case.qrels["docno"][case.qrels["label"] > 0].unique())
    for system, run in case.runs.items():
        docnos = pd.Index(run["docno"].unique())
        possible = min(len(relevant), len(docnos))
        if not possible:
            continue
        met = int(relevant.isin(docnos).sum())
        share = met / possible
        if share >= MET:
            continue
        if _in_corpus(case, docnos) and _in_corpus(case, relevant):
            why = ", though the corpus holds both under their docnos"
            advice = "its results are poor, and docnos are not the reason: check its model and index"
        else:
            form = _form(docnos, relevant)
            why = f": docnos here are like {str(docnos[0])!r}, in the judgements like {str(relevant[0])!r}"
            advice = f"they agree except that {form}: write them alike" if form else "check that both are of one corpus"
        yield Finding(
            severity="warning" if met else "problem",
            system=system,
            what=f"it found {met:,} of {len(relevant):,} relevant documents in {len(docnos):,} different results{why}",
            figures={"relevant": len(relevant), "met": met, "retrieved": len(docnos), "share": share},
            advice=advice,
        )


def _in_corpus(case: Case, docnos: pd.Index) -> bool:
    """Whether the corpus is at hand, and holds most of some docnos, of which a sample is looked up."""
    sample = docnos[:: max(1, len(docnos) // _LOOKED_UP)]
    return case.unknown is not None and 2 * len(case.unknown(sample)) < len(sample)


def _form(docnos: pd.Index, relevant: pd.Index) -> str | None:
    """How docnos differ that are otherwise the same; ``None`` if no difference of form explains it."""
    possible = min(len(docnos), len(relevant))
    for difference, form in _FORMS.items():
        met = len({form(docno) for docno in docnos} & {form(docno) for docno in relevant} - {""})
        if met >= max(2, 4 * MET * possible) or met == possible:
            return difference
    return None
