"""What a refresh found, in its folder: the candidates of each query, their scores, and, last, the report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import TrainingError
from ance_ir.files import read_json, save_array, write_json

_ARRAYS = {"candidates_QK": "candidates.npy", "scores_QK": "scores.npy", "top_SN": "top.npy", "sample_S": "sample.npy"}
_REPORT = "report.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class MinedNegatives:
    """Candidates of Q queries, K each, and the first N documents of the ranking of S of them.

    Attributes:
        candidates_QK: document numbers, int32, best first; −1 after the last where a query has fewer.
        scores_QK: float32, by the model that mined.
        top_SN: document numbers, int32, as the model ranked them, but for excluded ones.
        sample_S: the queries of which that is, int64.
        report: what there is to tell; ``mined_at`` is the number of steps that the model had been trained.
    """

    candidates_QK: np.ndarray
    scores_QK: np.ndarray
    top_SN: np.ndarray
    sample_S: np.ndarray
    report: Mapping[str, Any]

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
            report = read_json(folder / _REPORT)
            arrays = {attribute: np.load(folder / name, mmap_mode="r", allow_pickle=False) for attribute, name in _ARRAYS.items()}
        except (OSError, ValueError, EOFError) as error:
            raise TrainingError(
                f"{folder}: the negatives that were mined here cannot be read ({error}); delete the checkpoints that used them "
                "to go on from the one before"
            ) from error
        shapes = [array.shape[0] for array in arrays.values()]
        if shapes[0] != shapes[1] or shapes[2] != shapes[3]:
            raise TrainingError(f"{folder}: the files do not belong together, they hold {', '.join(map(str, shapes))} rows")
        return cls(**arrays, report=report)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove all but the report."""
        for name in _ARRAYS.values():
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "index.ance", ignore_errors=True)
