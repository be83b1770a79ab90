"""Cosine similarity instead of dot products, and BCE or hinge losses instead of NLL, train models that are about as good.

Section 6.3 tries them for ANCE. The systems are of models that differ in this alone, as ``ance-ir train --loss bce`` (or ``hinge``) makes
them, or a start with ``--text normalize=yes`` and ``--temperature 0.05``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ance_ir.eval import Table, suite_of
from ance_ir.paper.analysis import Analysis, Asked, Need, Shown
from ance_ir.paper.expectations import Outcome, verdict_of
from ance_ir.paper.pictures import dots_picture


def measure(asked: Asked) -> dict[str, Any]:
    """Evaluate the systems by the suite's first measure."""
    first = suite_of(asked.dataset, asked.split).measures[0]
    return {"evaluation": asked.evaluated([first]).to_json()}


def show(found: Mapping[str, Any]) -> Shown:
    """The table, and whether each system differs from the first."""
    evaluation = found["evaluation"]
    systems, baseline, (measure,) = evaluation["systems"], evaluation["baseline"], evaluation["measures"]
    values = {name: [told["measures"][measure], *told["intervals"][measure]] for name, told in systems.items()}
    rows = [[name, f"{mean:.4f} [{low:.4f}, {high:.4f}]"] for name, (mean, low, high) in values.items()]
    outcomes = [_alike(name, baseline, told["comparison"][measure], measure) for name, told in systems.items() if name != baseline]
    caption = f"Means over {evaluation['queries']:,} queries with 95 % bootstrap intervals"
    return Shown(tables={caption: Table(header=["system", measure], rows=rows)}, outcomes=outcomes, picture=dots_picture({measure: values}))


def _alike(name: str, baseline: str, row: Mapping[str, Any], measure: str) -> Outcome:
    return Outcome(
        expected=f"{name} is about as good as {baseline}",
        verdict=verdict_of(row["difference"], row["p_corrected"], alike=True),
        figures=f"{measure} {row['difference']:+.4f}, p {row['p_corrected']:.2g} of a paired t-test over queries, Holm-corrected; "
        "no significant difference is no proof of equality",
    )


ANALYSIS = Analysis(
    covers="section 6.3",
    needs={"system": Need(what="the model with dot products and NLL, then those that are compared with it", least=2)},
    choices=("split",),
    measure=measure,
    show=show,
)
