"""From the passages of a better retriever the same reader gives more right answers.

The paper puts RAG-Token (20 passages) and DPR's reader (100 passages) on top of DPR and of ANCE; here any readers, at several depths.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.eval import Table
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Claim, tested
from ance_ir.paper.pictures import Curve, band, curves_picture
from ance_ir.workflows import evaluate_readers, open_readers

_DEPTHS = (1, 5, 10, 20)
_QUESTIONS = 500
_EM = "EM"


def measure(asked: Asked) -> dict[str, Any]:
    """Exact match of each question, by reader, depth and system."""
    readers = open_readers(asked.texts("reader"), device=asked.device, verbose=asked.verbose)

    def read(system: str, depth: int) -> dict[str, Any]:
        report = evaluate_readers(
            asked.dataset,
            readers,
            system=system,
            depth=depth,
            split=asked.split,
            questions=asked.queries or _QUESTIONS,
            seed=asked.seed,
            device=asked.device,
        )
        return {reader: {"qid": list(values.index), _EM: values[_EM].tolist()} for reader, values in report.per_query.items()}

    found = {
        name: {str(depth): asked.once(f"read-{depth}", [system, *readers.values()], partial(read, text, depth)) for depth in _DEPTHS}
        for text, (name, system) in zip(asked.texts("system"), asked.opened().items(), strict=True)
    }
    return {"systems": found}


def show(found: Mapping[str, Any]) -> Shown:
    """Exact match by depth, and at the last depth each system against the first."""
    systems = found["systems"]
    first, *others = systems
    depths = list(systems[first])
    readers = list(systems[first][depths[0]])
    rows, panels, outcomes = [], {}, []
    for reader in readers:
        values = {name: np.array([told[depth][reader][_EM] for depth in depths]).T for name, told in systems.items()}
        rows += [[reader, name, *(f"{value:.4f}" for value in values_QD.mean(axis=0))] for name, values_QD in values.items()]
        panels[reader] = {name: _curve(depths, values_QD) for name, values_QD in values.items()}
        per_query = {name: _frame(told[depths[-1]][reader]) for name, told in systems.items()}
        expected = f"{reader} answers more questions from the first {depths[-1]} passages of {{}} than of {first}"
        outcomes += tested(per_query, [Claim(expected=expected.format(name), higher=name, lower=first) for name in others])
    questions = len(systems[first][depths[0]][readers[0]]["qid"])
    table = Table(header=["reader", "system", *(f"first {depth}" for depth in depths)], rows=rows, left=2)
    picture = curves_picture(panels, x="passages read", y="exact match, share of questions", ticks=list(map(int, depths)))
    return Shown(tables={f"Exact match over {questions:,} questions, from the first passages": table}, outcomes=outcomes, picture=picture)


def _curve(depths: list[str], values_QD: np.ndarray) -> Curve:
    low, high = band(values_QD)
    return Curve(x=[int(depth) for depth in depths], y=values_QD.mean(axis=0).tolist(), low=low, high=high)


def _frame(told: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(told).set_index("qid")


ANALYSIS = Analysis(
    covers="figure 5 and table 6, readers on top",
    needs={
        "system": Need(what="two or more that find the passages; first what the others are to exceed", least=2),
        "reader": Need(what="what answers from them, as in `ance-ir read`"),
    },
    choices=("split", "queries", "seed"),
    measure=measure,
    show=show,
)
