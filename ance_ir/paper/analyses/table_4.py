"""Dense retrieval wins where words differ and loses where a word decides; here its greatest wins and losses against BM25, with texts.

The paper's tables 4 and 5 show queries of TREC DL 2019 on which ANCE and BM25 differ most.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ance_ir.datasets.ids import clean_queries
from ance_ir.eval import Table, format_example, queries_won, suite_of
from ance_ir.eval.report.pictures import Picture
from ance_ir.eval.report.strokes import look
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, verdict_of

_EXAMPLES = 3


def measure(asked: Asked) -> dict[str, Any]:
    """Differences of all queries, and the texts of the greatest."""
    name = suite_of(asked.dataset, asked.split).measures[0]
    evaluation = asked.evaluated([name])
    bm25, system = asked.names()
    name = evaluation.measures[0]
    differences = (evaluation.per_query[system][name] - evaluation.per_query[bm25][name]).round(9)
    queries = clean_queries(asked.dataset.queries(asked.split))
    store = asked.dataset.store()

    def told(winner: str, loser: str) -> list[str]:
        won = queries_won(evaluation, queries, winner, loser, name, _EXAMPLES)
        return [format_example(one, lambda docnos: [document["text"] for document in store.get(list(docnos))]) for one in won]

    examples = {"wins": told(system, bm25), "losses": told(bm25, system)}
    return {"measure": name, "systems": [system, bm25], "differences": differences.sort_values(ascending=False).tolist(), **examples}


def show(found: Mapping[str, Any]) -> Shown:
    """How many are won and lost, and the examples."""
    system, bm25 = found["systems"]
    differences = np.array(found["differences"])
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    counts = Outcome(
        expected=f"{system} is better than {bm25} on more queries than it is worse",
        verdict=verdict_of(wins - losses, p),
        figures=f"{wins:,} and {losses:,} of {len(differences):,} queries, p {p:.2g} of a sign test",
    )
    kinds = Outcome(
        expected=f"{system} wins where words differ, and loses where one word decides",
        verdict="not testable here",
        figures="that takes people who read the examples",
    )
    header = ["", "queries", f"mean difference in {found['measure']}"]
    rows = [
        [kind, f"{len(chosen):,}", f"{chosen.mean():+.4f}" if len(chosen) else "–"]
        for kind, chosen in (
            ("wins", differences[differences > 0]),
            ("losses", differences[differences < 0]),
            ("ties", differences[differences == 0]),
        )
    ]
    texts = [
        f"Where {one} is better than {other} by most:\n\n```\n" + "\n\n".join(found[kind]) + "\n```"
        for kind, one, other in (("wins", system, bm25), ("losses", bm25, system))
        if found[kind]
    ]
    return Shown(
        tables={f"{system} against {bm25}": Table(header=header, rows=rows)},
        outcomes=[counts, kinds],
        picture=Picture(size=(5.4, 3.2), draw=partial(_draw, found=found, counts=(wins, losses))),
        texts=texts,
    )


def _draw(figure: Any, found: Mapping[str, Any], counts: tuple[int, int]) -> None:
    axes = figure.subplots()
    differences = np.array(found["differences"])
    system, bm25 = found["systems"]
    places = np.arange(len(differences)) + 0.5
    for number, (chosen, label) in enumerate(
        ((differences > 0, f"{system} is better: {counts[0]:,}"), (differences < 0, f"{bm25} is better: {counts[1]:,}"))
    ):
        axes.bar(places[chosen], differences[chosen], width=1.0, color=look(number)[0], label=label)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="queries, by their difference", ylabel=f"difference in {found['measure']}", xlim=(0, len(differences)))
    axes.grid(False, axis="x")
    axes.legend()


ANALYSIS = Analysis(
    covers="tables 4 and 5",
    needs={"system": Need(what="BM25, then the dense system", least=2, most=2)},
    choices=("split",),
    measure=measure,
    show=show,
)
