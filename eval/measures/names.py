"""Measures by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import ir_measures

from ance_ir.errors import UsageError
from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.measures.own import OwnMeasure

PIPELINE: Any = ir_measures.DefaultPipeline

DEFAULT_MEASURES = ("RR@10", "nDCG@10", "R@100")


def parse_measures(names: Iterable[str]) -> list[Any]:
    """The ``ir_measures`` objects of names; ``str`` of one is its one name: ``MRR@10`` is ``RR@10``, ``MAP`` is ``AP``.

    Raises:
        UsageError: there is no such measure, nothing installed computes it, or there are no names.
    """
    measures: dict[Any, None] = {}
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            known = PIPELINE.supports(measure)
        except (AssertionError, NameError, ValueError):
            known = False
        if not known:
            raise UsageError(
                f"unknown measure {name!r}; known are, for example, RR@10, nDCG@10, R@100 (with a cutoff), AP(rel=2), "
                "Coverage@20, Hole@10, Overlap(run='NAME')@100, EM and F1"
            )
        measures[measure] = None
    if not measures:
        raise UsageError(f"no measure was named; {' '.join(DEFAULT_MEASURES)}, for example")
    return list(measures)


def bind_measures(names: Iterable[str], evidence: Evidence) -> list[Any]:
    """Measures that have what they need, for ``ir_measures`` and ``pt.Experiment``.

    Args:
        names: as ``parse_measures`` takes them.
        evidence: for those of our own.

    Raises:
        EvaluationError: the evidence does not suffice for one of them.
        UsageError: an unknown measure.
    """
    measures = parse_measures(names)
    check_measures(measures, evidence)
    return [measure.bound(evidence) if isinstance(measure, OwnMeasure) else measure for measure in measures]


def check_measures(measures: Iterable[Any], evidence: Evidence, systems: Collection[str] = ()) -> None:
    """Refuse evidence that does not suffice.

    Args:
        measures: from ``parse_measures``.
        evidence: what is given.
        systems: names of runs that will be among the evidence.

    Raises:
        EvaluationError: a measure needs something else.
    """
    for measure in measures:
        if isinstance(measure, OwnMeasure):
            measure.check(evidence, systems)


def needs(measures: Iterable[Any]) -> set[str]:
    """What measures take their queries from: of ``"qrels"`` and ``"answers"``."""
    found = {measure.NEEDS if isinstance(measure, OwnMeasure) else "qrels" for measure in measures}
    return {need for need in found if need}
