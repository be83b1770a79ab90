"""Dense retrieval answers a query a hundred times faster than BM25 with a BERT reranker.

The paper's table of latency; `ance-ir bench pipeline` measures it, with more choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ance_ir.eval import Table
from ance_ir.eval.bench import bench_pipeline
from ance_ir.eval.report.pictures import Picture
from ance_ir.eval.report.strokes import look
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome
from ance_ir.paper.pictures import log_scale

_QUERIES, _DOCUMENTS, _LENGTH, _ROUNDS = 8, 1000, 128, 3
_ALONE = "ms, 1 query"
_TIMES = 100
"""How many times as long the cascade takes in the paper, about."""

_SECONDS = {"h": 3.6e6, "s": 1e3, "ms": 1.0}


def measure(asked: Asked) -> dict[str, Any]:
    """Time the parts."""
    models = asked.texts("model")
    reranker = models[1] if len(models) == 2 else None
    table = bench_pipeline(
        asked.dataset,
        models[0],
        reranker=reranker,
        documents=_DOCUMENTS,
        queries=asked.queries or _QUERIES,
        length=_LENGTH,
        rounds=_ROUNDS,
        device=asked.device,
        verbose=asked.verbose,
    )
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {"rows": rows, "columns": list(table.columns)}


def show(found: Mapping[str, Any]) -> Shown:
    """The table, and how many times as long the cascade takes."""
    rows = found["rows"]
    cells = [
        ["–" if row[name] is None else f"{row[name]:.3g}" if isinstance(row[name], float) else row[name] for name in row] for row in rows
    ]
    online = {row["part"]: (row[_ALONE], _milliseconds(row["paper"])) for row in rows if row[_ALONE] is not None}
    times = online["cascade"][0] / online["ANN total"][0]
    outcome = Outcome(
        expected=f"a query takes {_TIMES} times as long with BM25 and a BERT reranker as with dense retrieval",
        verdict="as in the paper" if times >= _TIMES else "does not hold",
        figures=f"{online['cascade'][0]:.3g} and {online['ANN total'][0]:.3g} ms, {times:.3g} times as long; medians over rounds, "
        "no test; the paper measured on a GPU, with 8.8 million passages",
    )
    return Shown(
        tables={"Medians; latency of a query, for 100 documents": Table(header=found["columns"], rows=cells)},
        outcomes=[outcome],
        picture=Picture(size=(6.4, 0.42 * len(online) + 1.2), draw=partial(_draw, online=online)),
    )


def _milliseconds(text: str) -> float | None:
    """Of ``"1.15 s"``; ``None`` of nothing."""
    number, _, unit = text.partition(" ")
    return float(number) * _SECONDS[unit] if unit in _SECONDS else None


def _draw(figure: Any, online: Mapping[str, tuple[float, float | None]]) -> None:
    axes = figure.subplots()
    places = range(len(online))
    axes.barh(places, [ours for ours, _ in online.values()], height=0.6, color=look(0)[0], label="here")
    for place, (ours, paper) in enumerate(online.values()):
        axes.annotate(f"{ours:.3g} ", (ours, place), ha="right", va="center", color="white")
        if paper is not None:
            axes.plot(paper, place, "D", color=look(1)[0], markersize=6, label="paper" if place == 0 else None)
    log_scale(axes, "x")
    axes.set(xlabel="milliseconds a query, log scale", yticks=places, yticklabels=list(online))
    axes.grid(False, axis="y")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)


ANALYSIS = Analysis(
    covers="figure 6",
    needs={"model": Need(what="the dense model, then the reranker (by default of the dense model's size, untrained)", most=2)},
    choices=("queries",),
    measure=measure,
    show=show,
)
