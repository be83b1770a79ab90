"""The data of the page's script: every query with its values and first results, every text once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.rankings import evaluated_qids, evaluated_qrels, evaluated_results

TOP = 10
"""Results that are shown of each ranking, and its first relevant one."""
_TEXT = 500
"""Characters that are shown of a text."""
_TEXTS = 24_000_000
"""Characters of all texts together, unless that leaves less than a line of each."""
_LEAST = 100
_TITLE = 150

Texts = Callable[[Sequence[str]], Sequence[Mapping[str, str] | None]]
"""The documents of docnos, in their order; ``None`` for those that are not known."""


def contents(evaluation: Evaluation, queries: pd.DataFrame, texts: Texts, relevant: int = 1) -> dict[str, Any]:
    """The data of the page's script, for JSON.

    Args:
        evaluation: of which queries.
        queries: frame with ``qid`` and ``query``.
        texts: of the documents shown.
        relevant: labels from this on are relevant.

    Returns:
        ``systems``, ``measures``, ``relevant``, ``docs`` (docno, title, text, shared by all queries) and ``queries``: ``qid``, ``text``,
        ``values`` (of each system, of each measure), ``relevant`` (how many are known), ``found`` (by each system), ``rows`` (number of
        the document, label or null, ranks from 1 or 0 where it was not found, scores or null; of each system).
    """
    qids, qrels = evaluated_qids(evaluation), evaluated_qrels(evaluation)
    shown = _shown(evaluation, qrels, relevant)
    numbers, docnos = pd.factorize(shown["docno"])
    rows: dict[Any, list[list[Any]]] = {qid: [] for qid in qids}
    systems = range(len(evaluation.runs))
    labels = shown["label"].astype(object).where(shown["label"].notna(), None)
    ranks = shown[[f"rank{i}" for i in systems]].fillna(-1).astype(int).to_numpy() + 1
    scores = shown[[f"score{i}" for i in systems]].to_numpy()
    for qid, number, label, rank, score in zip(shown["qid"], numbers, labels, ranks.tolist(), scores.tolist(), strict=True):
        rows[qid].append([int(number), None if label is None else int(label), rank, [_rounded(value) for value in score]])
    known = qrels["qid"][qrels["label"] >= relevant].value_counts()
    found = [evaluated_results(evaluation, system)["qid"].value_counts() for system in evaluation.runs]
    asked_texts = queries.set_index("qid")["query"]
    values = [frame.reindex(qids).to_numpy().tolist() for frame in evaluation.per_query.values()]
    return {
        "systems": list(evaluation.runs),
        "measures": evaluation.measures,
        "relevant": relevant,
        "docs": _documents(list(docnos), texts),
        "queries": [
            {
                "qid": str(qid),
                "text": str(asked_texts.get(qid, "")),
                "values": [[_rounded(value) for value in system[place]] for system in values],
                "relevant": int(known.get(qid, 0)),
                "found": [int(counts.get(qid, 0)) for counts in found],
                "rows": rows[qid],
            }
            for place, qid in enumerate(qids)
        ],
    }


def to_script(data: Any) -> str:
    """JSON that is safe in a ``<script>`` element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _shown(evaluation: Evaluation, qrels: pd.DataFrame, relevant: int) -> pd.DataFrame:
    """``qid docno label``, and ``rank`` and ``score`` in each system, of all documents shown for some system."""
    runs = [evaluated_results(evaluation, system) for system in evaluation.runs]
    good = qrels.loc[qrels["label"] >= relevant, ["qid", "docno"]]
    keys = []
    for run in runs:
        first = run.merge(good, on=["qid", "docno"]).sort_values("rank").drop_duplicates("qid")
        keys += [run.loc[run["rank"] < TOP, ["qid", "docno"]], first[["qid", "docno"]]]
    shown = pd.concat(keys).drop_duplicates(ignore_index=True).merge(qrels[["qid", "docno", "label"]], on=["qid", "docno"], how="left")
    for number, run in enumerate(runs):
        shown = shown.merge(run.rename(columns={"rank": f"rank{number}", "score": f"score{number}"}), on=["qid", "docno"], how="left")
    return shown


def _documents(docnos: Sequence[str], texts: Texts) -> list[list[str]]:
    width = max(_LEAST, min(_TEXT, _TEXTS // max(1, len(docnos))))
    return [
        [docno, _cut((document or {}).get("title", ""), _TITLE), _cut((document or {}).get("text", ""), width)]
        for docno, document in zip(docnos, texts(docnos), strict=True)
    ]


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}…"


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
