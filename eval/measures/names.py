"""Measures by name."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import ir_measures

from ance_ir.errors import UsageError
from ance_ir.eval.measures.base import OwnMeasure
from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.measures.own import OWN_MEASURES

PIPELINE: Any = ir_measures.DefaultPipeline

DEFAULT_MEASURES = ("RR@10", "nDCG@10", "R@100")
"""The measures where none are named and no suite has its own."""

_MOST = 2**31 - 1
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"cutoff": (1, _MOST), "rel": (1, _MOST), "min_rel": (0, _MOST), "max_rel": (1, _MOST)}
    | {"recall": (0, 1), "p": (0, 1), "alpha": (0, 1), "beta": (0, math.inf), "T": (0, math.inf)}
)
"""Of parameters, the least and the largest value. With others, trec_eval's code aborts the process or returns something else."""


def parse_measures(names: Iterable[str]) -> list[Any]:
    """The ``ir_measures`` objects of names; ``str`` of one is its canonical name: ``MRR@10`` is ``RR@10``, ``MAP`` is ``AP``.

    Raises:
        UsageError: there is no such measure, no installed package computes it, or there are no names.
    """
    if isinstance(names, str):
        raise UsageError(f"expected a list of measures: [{names!r}]")
    measures = dict.fromkeys(map(_parsed, names))
    if not measures:
        raise UsageError(f"no measure given; {' '.join(DEFAULT_MEASURES)}, for example")
    return list(measures)


def _parsed(name: str) -> Any:
    try:
        if isinstance(name, str):
            compile(name.strip(), "measure", "eval")  # refuses a parameter that is given twice, which ir_measures does not
        measure = ir_measures.parse_measure(name.strip() if isinstance(name, str) else name)
    except (NameError, SyntaxError, ValueError, TypeError, AttributeError, MemoryError, RecursionError):  # the last two of many brackets
        if re.search(r"[@=]\s*-\s*\d", str(name)):
            raise UsageError(f"measure {str(name)!r}: its numbers cannot be negative") from None
        examples = ["RR@10", "nDCG@10", "R@100", "AP(rel=2)", *(measure.example() for measure in OWN_MEASURES.values())]
        raise UsageError(f"unknown measure {str(name)!r}; known are, for example, {', '.join(examples)}") from None
    _check_parameters(name, measure)
    if not PIPELINE.supports(measure):
        raise UsageError(f"no installed package computes the measure {str(name)!r} with these parameters")
    return measure


def _check_parameters(name: str, measure: Any) -> None:
    """Refuse parameters before a provider sees them.

    Raises:
        UsageError: a parameter that is unknown, missing or out of range.
    """
    known = measure.SUPPORTED_PARAMS
    for parameter, value in measure.params.items():
        if parameter not in known:
            raise UsageError(f"measure {str(name)!r}: {measure.NAME} has no parameter {parameter}; it has {', '.join(known) or 'none'}")
        expected = None
        if known[parameter].dtype is bool:
            expected = None if isinstance(value, bool) else "True or False"
        elif parameter == "gains":
            expected = None if _are_gains(value) else "a number for each label, as in {1: 1, 2: 5}"
        elif parameter in _RANGES:
            low, high = _RANGES[parameter]
            fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            expected = None if fits else f"a number from {low} {'on' if high == math.inf else f'to {high}'}"
        if expected:
            raise UsageError(f"measure {str(name)!r}: {parameter} must be {expected}, not {value!r}")
    missing = [parameter for parameter, about in known.items() if about.required and parameter not in measure.params]
    if missing:
        example = f", as in {measure.NAME}@10" if missing == ["cutoff"] else ""
        raise UsageError(f"measure {str(name)!r}: {measure.NAME} needs {' and '.join(missing)}{example}")
    for parameter, about in known.items():
        if parameter in measure.params and not about.validate(measure.params[parameter]):
            kind = "a whole number" if about.dtype is int else "another"
            raise UsageError(f"measure {str(name)!r}: {parameter} must be {kind}, not {measure.params[parameter]!r}")


def _are_gains(gains: Any) -> bool:
    """Whether these are whole numbers from 0, by label."""
    numbers = [*gains, *gains.values()] if isinstance(gains, dict) else []
    whole = all(isinstance(number, int) and not isinstance(number, bool) and abs(number) <= _MOST for number in numbers)
    return bool(numbers) and whole and all(gain >= 0 for gain in gains.values())


def bind_measures(names: Iterable[str], evidence: Evidence) -> list[Any]:
    """Measures with their evidence, for ``ir_measures`` and ``pt.Experiment``.

    Args:
        names: as ``parse_measures`` takes them.
        evidence: for those of our own.

    Raises:
        EvaluationError: the evidence is insufficient for one of them.
        UsageError: an unknown measure.
    """
    measures = parse_measures(names)
    check_measures(measures, evidence)
    return [measure.bound(evidence) if isinstance(measure, OwnMeasure) else measure for measure in measures]


def check_measures(measures: Iterable[Any], evidence: Evidence, systems: Collection[str] = ()) -> None:
    """Refuse insufficient evidence.

    Args:
        measures: from ``parse_measures``.
        evidence: what is given.
        systems: names of runs that will be among the evidence.

    Raises:
        EvaluationError: a measure needs more.
    """
    for measure in measures:
        if isinstance(measure, OwnMeasure):
            measure.check(evidence, systems)


def required_evidence(measures: Iterable[Any]) -> set[str]:
    """Which evidence queries must have to count: of ``"qrels"`` and ``"answers"``."""
    found = {measure.NEEDS if isinstance(measure, OwnMeasure) else "qrels" for measure in measures}
    return {need for need in found if need}
