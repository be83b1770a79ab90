"""A finished study of negatives, as analyses read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from ance_ir.errors import EvaluationError, UsageError
from ance_ir.files import as_path
from ance_ir.paper.analysis import Asked, Need
from ance_ir.paper.settings import Scheme
from ance_ir.paper.trial import Trial
from ance_ir.typed_json import read_typed

NEED = {"study": Need(what="the folder of a finished `ance-ir study negatives` on this dataset")}


class _Results(TypedDict):
    settings: dict[str, Any]
    fingerprints: dict[str, str]
    queries: dict[str, int]
    systems: dict[str, dict[str, Any]]
    expectations: list[dict[str, str]]


def read_study(asked: Asked) -> tuple[Path, dict[str, Any]]:
    """The folder of the study that was given, and its ``results.json``.

    Raises:
        UsageError: the study is not finished, or is of another dataset.
    """
    folder = as_path(asked.texts("study")[0])
    try:
        results: dict[str, Any] = dict(read_typed(folder / "results.json", _Results, error=EvaluationError, remedy="run the study again"))
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no finished study; ance-ir study negatives --out {folder} makes or resumes one") from None
    if results["fingerprints"]["dataset"] != asked.dataset.fingerprint:
        raise UsageError(f"{folder} is a study on {results['settings']['dataset']}, not on {asked.dataset.name}")
    return folder, results


def logs_of(folder: Path, results: dict[str, Any]) -> dict[str, list[pd.DataFrame]]:
    """By scheme, the log of training under each seed: ``step``, ``loss``, ``grad_norm`` and ``grad_norms`` (by group of layers)."""
    settings = results["settings"]
    return {scheme: [Trial(folder, Scheme.parse(scheme), seed).metrics() for seed in settings["seeds"]] for scheme in settings["schemes"]}
