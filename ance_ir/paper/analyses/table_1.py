"""With negatives from the index of the model being trained (ANCE), a dense retriever is better than with any other sampling.

The paper compares, at equal conditions, eight ways of choosing negatives on MS MARCO and TREC DL 2019. The training runs are those of
``ance-ir study negatives``, which are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ance_ir.eval import Table
from ance_ir.paper.analysis import Analysis, Asked, Shown
from ance_ir.paper.expectations import Outcome
from ance_ir.paper.pictures import dots_picture
from ance_ir.paper.report import spread
from ance_ir.paper.studied import NEED, read_study
from ance_ir.paper.study import WARM


def measure(asked: Asked) -> dict[str, Any]:
    """The study's measures on the test queries, and what its tests say of them."""
    _, results = read_study(asked)
    split = results["settings"]["test_split"]
    return {
        "split": split,
        "queries": results["queries"][split],
        "seeds": len(results["settings"]["seeds"]),
        "systems": {name: told["measures"][split] for name, told in results["systems"].items()},
        "compared": [name for name, told in results["systems"].items() if "loss" in told or name == WARM],
        "expectations": [told for told in results["expectations"] if "better than" in told["expected"] or "as good as" in told["expected"]],
    }


def show(found: Mapping[str, Any]) -> Shown:
    """The table, with standard deviations over seeds; in the picture only what was trained here, so that its differences can be seen."""
    systems = found["systems"]
    others = [name for name in systems if name not in found["compared"]]
    measures = list(next(iter(systems.values())))
    rows = [[name, *(spread(told[measure]) for measure in measures)] for name, told in systems.items()]
    caption = f"{found['queries']:,} queries of {found['split']}; means over {found['seeds']} seeds ± standard deviation"
    return Shown(
        tables={caption: Table(header=["negatives", *measures], rows=rows)},
        outcomes=[Outcome(**told) for told in found["expectations"]],
        picture=dots_picture({one: {name: _interval(systems[name][one]) for name in found["compared"]} for one in measures}),
        texts=[f"The picture leaves out {' and '.join(others)}, beside which the others would lie on one line."] if others else (),
    )


def _interval(values: list[float]) -> list[float]:
    """Mean, and a standard deviation over seeds to both sides."""
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return [mean, mean - deviation, mean + deviation]


ANALYSIS = Analysis(covers="table 1", needs=NEED, choices=(), measure=measure, show=show)
