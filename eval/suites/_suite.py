"""The base of suites."""

from __future__ import annotations

from dataclasses import dataclass, fields

MSMARCO = "the passages of MS MARCO (1.1 GB to download, 2.9 GB unpacked)"
DOCUMENTS = "the documents of MS MARCO (8.5 GB to download, 22 GB unpacked)"
WIKIPEDIA = "DPR's 21 million passages of Wikipedia (4.7 GB to download, 13 GB unpacked)"

COVERAGE = ("Coverage@1", "Coverage@5", "Coverage@20", "Coverage@100")


_LONG = ("describes", "datasets", "needs")
"""Fields that ``repr`` leaves out."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Suite:
    """The evaluation of one collection.

    Attributes:
        name: of the suite.
        describes: the collection and its queries, in a line.
        datasets: regular expression of the names of the datasets that it evaluates; empty for a general suite.
        measures: their names.
        threshold: the least label that binary measures count as relevant.
        depth: documents retrieved for a query.
        passages: how documents are cut for a dense index, as ``parse_passages`` reads it, where neither the system nor its model's
            authors say so.
        k1: of BM25, where the system does not set it.
        b: of BM25, likewise.
        candidates: how many of the candidates that come with the queries are reranked in the rerank setting; 0 where there is none.
        needs: what is downloaded, and how large it is.
        counts_itself: whether a result counts whose docno is the query's qid; false where queries are documents (ArguAna, Quora).
        excluded: the label of documents that do not count for a query, found or not; ``None`` where there are none.
        judged_in_part: whether only some of the queries were judged on purpose, so that leaving out the others needs no warning.
    """

    name: str
    describes: str
    datasets: str = ""
    measures: tuple[str, ...]
    threshold: int = 1
    depth: int = 1000
    passages: str = "firstp"
    k1: float = 0.9
    b: float = 0.4
    candidates: int = 0
    needs: str = ""
    judged_in_part: bool = False
    counts_itself: bool = True
    excluded: int | None = None

    def __repr__(self) -> str:
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        changed = [f"{name}={value!r}" for name, (value, default) in values.items() if value != default and name not in _LONG]
        return f"Suite({', '.join(changed)})"
