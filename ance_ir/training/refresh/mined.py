"""The negatives that a refresh mined, in its folder: each query's candidates, their scores and, written last, the report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ance_ir.arrays import map_array, save_array
from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.typed_json import read_typed

_ARRAYS = {"candidates_QK": "candidates.npy", "scores_QK": "scores.npy", "top_SN": "top.npy", "sample_S": "sample.npy"}
_REPORT = "report.json"
_REMEDY = "delete the checkpoints that used these negatives, to resume from the one before"


class _Report(TypedDict):
    mined_at: int


@dataclass(frozen=True, kw_only=True, eq=False)
class MinedNegatives:
    """Candidates of Q queries, K each, and the first N documents of the ranking of S of them.

    Attributes:
        candidates_QK: document numbers, int32, best first; −1 after the last where a query has fewer.
        scores_QK: float32, by the model that mined.
        top_SN: document numbers, int32, as the model ranked them, but for excluded ones.
        sample_S: the queries of which that is, int64.
        report: figures about the refresh; ``mined_at`` is the number of steps that the model had been trained.
    """

    candidates_QK: np.ndarray
    scores_QK: np.ndarray
    top_SN: np.ndarray
    sample_S: np.ndarray
    report: Mapping[str, Any]

    def __repr__(self) -> str:
        queries, count = self.candidates_QK.shape
        return f"MinedNegatives({queries} queries, up to {count} candidates each, mined after {self.mined_at} steps)"

    @property
    def mined_at(self) -> int:
        """After how many steps of training the model mined."""
        return int(self.report["mined_at"])

    @staticmethod
    def published(folder: Path) -> bool:
        """Whether a folder holds all of it."""
        return (folder / _REPORT).exists()

    @staticmethod
    def available(folder: Path) -> bool:
        """Whether all of it is still there; of what no run needs any more the report alone stays."""
        return MinedNegatives.published(folder) and all((folder / name).exists() for name in _ARRAYS.values())

    def publish(self, folder: Path) -> None:
        """Write it; nobody reads it before all of it is there."""
        for attribute, name in _ARRAYS.items():
            save_array(folder / name, getattr(self, attribute))
        write_json(folder / _REPORT, dict(self.report))

    @classmethod
    def read(cls, folder: Path) -> MinedNegatives:
        """Map what was published.

        Raises:
            TrainingError: it is not there, or damaged.
        """
        try:
            report = read_typed(folder / _REPORT, _Report, error=TrainingError, remedy=_REMEDY)
        except FileNotFoundError as error:
            raise TrainingError(f"{folder / _REPORT}: the report of negatives was expected; there is none; {_REMEDY}") from error

        def read(name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
            return map_array(folder / _ARRAYS[name], dtype, shape, error=TrainingError, remedy=_REMEDY)

        candidates_QK = read("candidates_QK", "int32", (None, None))
        sample_S = read("sample_S", "int64", (None,))
        return cls(
            candidates_QK=candidates_QK,
            scores_QK=read("scores_QK", "float32", candidates_QK.shape),
            top_SN=read("top_SN", "int32", (len(sample_S), None)),
            sample_S=sample_S,
            report=report,
        )

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove all but the report, indexes too."""
        for name in _ARRAYS.values():
            (folder / name).unlink(missing_ok=True)
        for other in folder.iterdir() if folder.is_dir() else ():
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
