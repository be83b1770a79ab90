"""An evaluation of two systems whose texts try to break out of a page, with all that a report shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import DocumentStore
from ance_ir.eval import Evaluation, evaluate_systems

NASTY = "</script><script>document.title='broken'</script><!-- <b>&amp;\u2028 é 漢"


def collection(queries: int = 30, documents: int = 40) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Queries, judgements (the second document of a query has label 2, the third 1, the fourth 0) and documents."""
    asked = pd.DataFrame(
        {"qid": [f"q{i}" for i in range(queries)], "query": [f"query {i} about {'cats' if i % 3 else 'dogs'}" for i in range(queries)]}
    )
    asked.loc[0, "query"] = f"query 0 {NASTY}"
    qrels = [(f"q{i}", f"d{(i + j) % documents}", label) for i in range(queries) for j, label in ((1, 2), (2, 1), (3, 0))]
    texts = pd.DataFrame({"docno": [f"d{i}" for i in range(documents)]})
    texts["text"] = [f"text of document {i} " + "word " * 150 for i in range(documents)]
    texts["title"] = [f"title {i}" if i % 2 else "" for i in range(documents)]
    texts.loc[1, "text"] = NASTY
    return asked, pd.DataFrame(qrels, columns=["qid", "docno", "label"]), texts


def system(shift: int, depth: int = 20, documents: int = 40) -> pt.Transformer:
    """Finds a query's documents, rotated by ``shift`` for every second query; nothing for q5."""

    def found(queries: pd.DataFrame) -> pd.DataFrame:
        rows = []
        for qid in queries["qid"]:
            number = int(qid[1:])
            if number != 5:
                turn = shift if number % 2 else 0
                rows += [(qid, f"d{(number + (j + turn) % depth) % documents}", 10.0 / (j + 1)) for j in range(depth)]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])

    return pt.apply.generic(found, transform_outputs=lambda columns: columns)


def reported(folder: Path, queries: int = 30, documents: int = 40) -> tuple[Evaluation, pd.DataFrame, DocumentStore]:
    """The evaluation, its queries, and the store of its documents."""
    asked, qrels, texts = collection(queries, documents)
    systems = {name: system(shift, documents=documents) for name, shift in (("base", 5), ("better <b>", 0), ("worse", 7))}
    evaluation = evaluate_systems(systems, asked, qrels, ["RR@10", "nDCG@10"], baseline="base")
    return evaluation, asked, DocumentStore.build(texts.to_dict("records"), folder / "store")
