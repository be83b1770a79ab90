"""Systems that rank first the document that is the query itself and has no judgement; BEIR leaves it out."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import with_labels
from ance_ir.notices import examples

OWN = 0.1
"""A smaller share of the queries whose first result has their own id may be chance."""


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    for system, run in case.runs.items():
        first = run[(run["rank"] == 0) & (run["qid"] == run["docno"])]
        own = first[with_labels(first, case.qrels)["label"].isna().to_numpy()]
        share = len(own) / len(case.qids)
        if share >= OWN:
            yield Finding(
                severity="warning",
                system=system,
                what=f"for {len(own):,} of {len(case.qids):,} queries the first result is the document whose docno is the qid "
                f"({examples(own['qid'])}), which has no judgement",
                figures={"own document first": len(own), "queries": len(case.qids), "share": share},
                advice="where queries are documents of the corpus, as in ArguAna and Quora, BEIR does not count these: --suite beir",
            )
