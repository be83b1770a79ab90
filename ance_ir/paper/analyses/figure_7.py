"""A query's scores have a long tail above a normal distribution's, and of the training negatives only ANCE's are among the first.

Figure 7 a plots score minus corpus mean by rank, figure 7 b the share of a run's negatives among the first 100 of the model it made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import norm, ttest_1samp

from ance_ir.datasets.ids import clean_queries
from ance_ir.eval import Table
from ance_ir.eval.report.pictures import Picture
from ance_ir.eval.report.strokes import look
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, overlaps, verdict_of
from ance_ir.paper.pictures import MARKS, band, log_scale
from ance_ir.paper.trained import conditions, differing, read_runs

_QUERIES, _RANKS, _ROWS = 100, 1000, 1 << 14
_SHARE = "overlap_with_top_100"


_CAPTION = "Score above the corpus mean, in standard deviations of the query's scores (and of as many from a normal distribution)"
_NO_RUNS = Outcome(
    expected="most of ANCE's negatives, and about none of random ones, are among the first 100",
    verdict="not testable here",
    figures="no run of these was given",
)


def measure(asked: Asked) -> dict[str, Any]:
    """Scores by rank in standard deviations above the corpus mean, float ``[queries, ranks]``; overlaps by step."""
    queries = clean_queries(asked.dataset.queries(asked.split)).set_index("qid")["query"]
    texts = queries[asked.drawn(queries.index, _QUERIES)].tolist()
    opened = [asked.dense(text) for text in asked.texts("system")]
    systems = {name: asked.once("scores", [retriever], partial(_scores, retriever, texts)) for name, retriever in opened}
    runs = [
        {
            "name": run.name,
            "negatives": run.negatives,
            "seed": run.manifest["settings"].get("seed"),
            "conditions": conditions(run, "settings.seed"),
            "steps": list(shares),
            "shares": list(shares.values()),
        }
        for run in read_runs(asked)
        if (shares := {one["step"]: one[_SHARE] for one in run.refreshes if _SHARE in one})
    ]
    return {"systems": systems, "runs": runs}


def _scores(retriever: Any, texts: list[str]) -> dict[str, Any]:
    index, vectors_QD = retriever.index, retriever.model.encode_queries(texts)
    scores_QK, _ = index.search_vectors(vectors_QD, _RANKS)
    sums, squares = np.zeros((2, len(texts)))
    for _, block in index.vectors.blocks(_ROWS):
        found = (block.astype(np.float32) @ vectors_QD.T).astype(np.float64)
        sums, squares = sums + found.sum(axis=0), squares + (found**2).sum(axis=0)
    means = sums / len(index.vectors)
    deviations = np.sqrt(squares / len(index.vectors) - means**2)
    ranks = np.unique(np.geomspace(1, scores_QK.shape[1], 40).round().astype(int))
    above = (scores_QK[:, ranks - 1] - means[:, None]) / deviations[:, None]
    return {"documents": len(index), "ranks": ranks.tolist(), "above": above.round(4).tolist()}


def show(found: Mapping[str, Any]) -> Shown:
    """Both parts."""
    rows, outcomes = [], []
    for name, told in found["systems"].items():
        above, ranks = np.array(told["above"]), told["ranks"]
        expected = _normal(ranks, told["documents"])
        chosen = [int(np.argmin(np.abs(np.array(ranks) - rank))) for rank in (1, 10, 100)]
        rows.append([name, *(f"{above[:, place].mean():.2f} ({expected[place]:.2f})" for place in chosen)])
        p = min(1.0, len(found["systems"]) * float(ttest_1samp(above[:, 0], expected[0]).pvalue))
        outcomes.append(
            Outcome(
                expected=f"the first score of {name} lies further above the corpus mean than that of a normal distribution",
                verdict=verdict_of(above[:, 0].mean() - expected[0], p),
                figures=f"{above[:, 0].mean():.2f} and {expected[0]:.2f} standard deviations, p {p:.2g} of a t-test over "
                f"{len(above)} queries, corrected over {len(found['systems'])}",
            )
        )
    documents = max(told["documents"] for told in found["systems"].values())
    runs = found["runs"]
    kinds = {run["negatives"]: [other for other in runs if other["negatives"] == run["negatives"]] for run in runs}
    last = {kind: {"overlap": [run["shares"][-1] for run in of]} for kind, of in kinds.items()}
    outcomes += overlaps(last, documents, {kind: _seeds(of) for kind, of in kinds.items()}) or [_NO_RUNS]
    tables = {_CAPTION: Table(header=["system", "first", "tenth", "hundredth"], rows=rows)}
    if runs:
        cells = [[run["name"], run["negatives"], *(f"{run['shares'][place]:.1%}" for place in (0, -1))] for run in runs]
        header = ["run", "negatives", "first refresh", "last"]
        tables["Negatives among the first 100 of the model that they trained"] = Table(header=header, rows=cells, left=2)
    picture = Picture(size=(7.8 if runs else 4.2, 3.4), draw=partial(_draw, found=found, runs=runs))
    return Shown(tables=tables, outcomes=outcomes, picture=picture)


def _seeds(runs: list[Mapping[str, Any]]) -> int:
    """Under how many seeds runs are the same; of runs that differ in anything else each stands alone."""
    return 1 if differing(run["conditions"] for run in runs) else len({run["seed"] for run in runs})


def _normal(ranks: list[int], documents: int) -> np.ndarray:
    """About the expected values of the largest of so many from a normal distribution (Blom)."""
    found: np.ndarray = norm.isf((np.array(ranks) - 0.375) / (documents + 0.25))
    return found


def _draw(figure: Any, found: Mapping[str, Any], runs: list[Mapping[str, Any]]) -> None:
    axes, *others = figure.subplots(1, 2 if runs else 1, squeeze=False)[0]
    for number, (name, told) in enumerate(found["systems"].items()):
        above = np.array(told["above"])
        low, high = band(above)
        colour, dashes = look(number)
        axes.plot(told["ranks"], above.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.8, label=name)
        axes.fill_between(told["ranks"], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(told["ranks"], _normal(told["ranks"], told["documents"]), color="#808080", linestyle="dotted", label="normal distribution")
    log_scale(axes, "x")
    axes.set(title="Scores by rank", xlabel="rank, log scale", ylabel="score above the corpus mean,\nstandard deviations")
    axes.legend()
    for other in others:
        for number, run in enumerate(runs):
            shares = [100 * share for share in run["shares"]]
            colour, dashes = look(number)
            other.plot(
                run["steps"], shares, color=colour, linestyle=dashes, marker=MARKS[number % len(MARKS)], markersize=4, label=run["name"]
            )
        other.set(
            title="Training negatives among the first 100", xlabel="optimiser steps", ylabel="share of the negatives, %", ylim=(-3, 103)
        )
        other.legend()


ANALYSIS = Analysis(
    covers="figure 7",
    needs={
        "system": Need(what="dense systems, an index each, whose scores are looked at"),
        "run": Need(what="training runs, whose negatives are compared with what their models rank first", least=0),
    },
    choices=("split", "queries", "seed"),
    measure=measure,
    show=show,
)
