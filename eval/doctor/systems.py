"""Checks of what systems found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import with_labels
from ance_ir.notices import examples

TOP = 10
JUDGED = 0.5
"""A smaller share of the top 10 with a judgement is low."""
SPARSE = 10
"""With fewer judgements a query, on average, most of any top 10 is unjudged."""
TIED = 0.25
"""A larger share of queries with equal scores in the top 10 is reported."""
CUT = 0.5
"""If a smaller share of the queries has the largest number of results, it comes from no cut-off: a lexical system found no more."""
MET = 0.05
"""A smaller share of the relevant documents that could have been found is few."""

OWN = 0.1
"""A smaller share of the queries whose first result has their own id may be chance."""

_FORMS: Mapping[str, Callable[[str], str]] = {
    "letters are upper or lower case": str.casefold,
    "numbers are filled up with zeros": lambda docno: re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", docno),
    "a prefix stands before the number": lambda docno: re.sub(r"^\D*(?=\d)", "", docno),
    "a prefix and zeros stand before the number": lambda docno: re.sub(r"^\D*0*(?=\d)", "", docno),
    "passages are numbered after # or %": lambda docno: re.split("[#%]", docno)[0],
    "a file's ending follows": lambda docno: re.sub(r"\.\w+$", "", docno),
}
"""Ways in which the same docno may be written differently."""


def unjudged(runs: Mapping[str, pd.DataFrame], qrels: pd.DataFrame, queries: int) -> list[Finding]:
    """Systems whose top 10 has few judgements; one note for all where judgements are such that no more can be expected."""
    if qrels.empty:
        return []
    shares = {}
    for system, run in runs.items():
        top = with_labels(run[run["rank"] < TOP], qrels)
        if len(top):
            shares[system] = float(top["label"].notna().mean())
    low = {system: share for system, share in shares.items() if share < JUDGED}
    depth = len(qrels) / queries
    sparse = f"judgements are sparse, {depth:.1f} a query" if depth < SPARSE else None
    only = "the judgements name relevant documents alone" if (qrels["label"] > 0).all() else None
    if low and (sparse or only):
        shares_text = ", ".join(f"{system} {share:.1%}" for system, share in low.items())
        return [
            Finding(
                severity="note",
                what=f"{sparse or only}, so that most of the top {TOP} has none (judged@{TOP}: {shares_text})",
                figures={"judgements a query": depth, **low},
                advice="relevant documents without a judgement count as not relevant, for every system",
            )
        ]
    return [
        Finding(
            severity="warning",
            system=system,
            what=f"judged@{TOP} is {share:.1%}, less than {JUDGED:.0%}: most of what it ranks first was never judged",
            figures={f"judged@{TOP}": share},
            advice="its true effectiveness may be higher; look at Judged@k in addition to the measures",
        )
        for system, share in low.items()
    ]


def lost(runs: Mapping[str, pd.DataFrame], qids: pd.Index) -> list[Finding]:
    """Systems that return nothing for queries."""
    found = []
    for system, run in runs.items():
        missing = qids[~qids.isin(run["qid"].unique())]
        if len(missing):
            named = ", ".join(map(str, missing[:3])) + (", …" if len(missing) > 3 else "")
            found.append(
                Finding(
                    severity="problem" if len(missing) == len(qids) else "warning",
                    system=system,
                    what=f"no results for {len(missing):,} of {len(qids):,} queries ({named}), which count 0",
                    figures={"without results": len(missing), "queries": len(qids)},
                    advice="check that it ran for them and, with BM25, that documents contain their words",
                )
            )
    return found


def unknown_queries(runs: Mapping[str, pd.DataFrame], queries: pd.DataFrame) -> list[Finding]:
    """Runs with results for other queries than the dataset's: made for other ones, or with qids written differently."""
    found = []
    for system, run in runs.items():
        qids = pd.Index(run["qid"].unique())
        unknown = qids[~qids.isin(queries["qid"])]
        if len(unknown):
            found.append(
                Finding(
                    severity="note",
                    system=system,
                    what=f"{len(unknown):,} of its {len(qids):,} queries, as {unknown[0]!r}, are not among the queries, and are left out",
                    figures={"unknown": len(unknown), "queries": len(qids)},
                    advice="check that qids are written alike, and that the run was made for this split",
                )
            )
    return found


def itself_first(runs: Mapping[str, pd.DataFrame], qrels: pd.DataFrame, queries: int) -> list[Finding]:
    """Systems that rank first the document that is the query itself and has no judgement; BEIR leaves it out."""
    found = []
    for system, run in runs.items():
        first = run[(run["rank"] == 0) & (run["qid"] == run["docno"])]
        own = first[with_labels(first, qrels)["label"].isna().to_numpy()]
        share = len(own) / queries
        if share >= OWN:
            found.append(
                Finding(
                    severity="warning",
                    system=system,
                    what=f"for {len(own):,} of {queries:,} queries the first result is the document whose docno is the qid "
                    f"({examples(own['qid'])}), which has no judgement",
                    figures={"own document first": len(own), "queries": queries, "share": share},
                    advice="where queries are documents of the corpus, as in ArguAna and Quora, BEIR does not count these: --suite beir",
                )
            )
    return found


def tied(runs: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Systems with equal scores in a query's top 10, which leave the order to the docnos."""
    found = []
    for system, run in runs.items():
        top = run[run["rank"] < TOP]
        scores = top["score"].astype(np.float32).groupby(top["qid"])  # in which results are ordered
        size, different = scores.size(), scores.nunique()
        several = size > 1
        if not several.any():
            continue
        constant = float((different[several] == 1).mean())
        some = float((different[several] < size[several]).mean())
        figures = {"queries with equal scores": some, "queries with one score": constant}
        if constant > MET:
            found.append(
                Finding(
                    severity="problem" if constant > JUDGED else "warning",
                    system=system,
                    what=f"on {constant:.1%} of the queries the whole top {TOP} has one score",
                    figures=figures,
                    advice="docnos decide the order there, not the system; check that its scores were kept",
                )
            )
        elif some > TIED:
            found.append(
                Finding(
                    severity="note",
                    system=system,
                    what=f"on {some:.1%} of the queries (more than {TIED:.0%}) scores in the top {TOP} are equal",
                    figures=figures,
                    advice="docnos decide there; other tools may order ties differently and get other figures",
                )
            )
    return found


def other_docnos(runs: Mapping[str, pd.DataFrame], qrels: pd.DataFrame) -> list[Finding]:
    """Systems that find few or no relevant documents, perhaps because their docnos differ."""
    relevant = pd.Index(qrels["docno"][qrels["label"] > 0].unique())
    found = []
    for system, run in runs.items():
        docnos = pd.Index(run["docno"].unique())
        possible = min(len(relevant), len(docnos))
        if not possible:
            continue
        met = int(relevant.isin(docnos).sum())
        share = met / possible
        if share >= MET:
            continue
        form = _form(docnos, relevant)
        found.append(
            Finding(
                severity="warning" if met else "problem",
                system=system,
                what=f"it found {met:,} of {len(relevant):,} relevant documents in {len(docnos):,} different results: "
                f"docnos here are like {_example(docnos)!r}, in the judgements like {_example(relevant)!r}",
                figures={"relevant": len(relevant), "met": met, "retrieved": len(docnos), "share": share},
                advice=f"they agree except that {form}: write them alike" if form else "check that both are of one corpus",
            )
        )
    return found


def shallow(runs: Mapping[str, pd.DataFrame], measures: Iterable[Any], documents: Callable[[], int] | None) -> list[Finding]:
    """Systems that return fewer results for every query than a measure looks at.

    Args:
        runs: by system.
        measures: as ``parse_measures`` returns them.
        documents: see ``diagnose``.
    """
    cutoffs = {str(measure): int(measure.params["cutoff"]) for measure in measures if "cutoff" in measure.params}
    found = []
    for system, run in runs.items():
        if run.empty:
            continue
        sizes = run.groupby("qid").size()
        depth = int(sizes.max())
        if (sizes == depth).mean() < CUT:
            continue
        deeper = [name for name, cutoff in cutoffs.items() if cutoff > depth]
        if deeper and documents is not None and documents() <= depth:
            continue
        if deeper:
            found.append(
                Finding(
                    severity="warning",
                    system=system,
                    what=f"no query has more than {depth:,} result{'' if depth == 1 else 's'}, too few for {', '.join(deeper)}",
                    figures={"results": depth},
                    advice="more results, or measures with a smaller cut-off, compare it fairly with deeper runs",
                )
            )
    return found


def _form(docnos: pd.Index, relevant: pd.Index) -> str | None:
    """How docnos differ that are otherwise the same; ``None`` if no difference of form explains it."""
    possible = min(len(docnos), len(relevant))
    for difference, form in _FORMS.items():
        met = len({form(docno) for docno in docnos} & {form(docno) for docno in relevant} - {""})
        if met >= max(2, 4 * MET * possible) or met == possible:
            return difference
    return None


def _example(docnos: pd.Index) -> str:
    return str(docnos[0])
