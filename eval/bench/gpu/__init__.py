"""What a GPU does with this package, next to what it could do, and the bars for that: ``bench_gpu``."""

from __future__ import annotations

import json
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu import ceilings, encoding, searching, training
from ance_ir.eval.bench.gpu.place import Place
from ance_ir.models.compute.device import find_device

__all__ = ["bench_gpu"]

_PARTS = (ceilings, encoding, training, searching)


def bench_gpu(device: str | None = None, *, out: Path | None = None, report: Callable[[Figure], object] | None = None) -> pd.DataFrame:
    """Measure the card, encoding, training and exact search; on a processor at a small size and without bars, to show that it runs.

    Figures are reported and written as they come, so that a run that is cut short leaves those it had.

    Args:
        device: what to measure; by default a GPU where there is one.
        out: a file that gets a line of JSON for each figure.
        report: called with each figure.

    Returns:
        A row for each figure, see ``Figure``; a part that fails has one with the error, and the others are measured all the same.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder, (out or Path(folder) / "figures.jsonl").open("w", encoding="utf-8") as file:
        for figure in _figures(Place(device=find_device(device), folder=Path(folder))):
            found.append(figure.row())
            file.write(json.dumps(asdict(figure)) + "\n")
            file.flush()
            if report is not None:
                report(figure)
    return pd.DataFrame(found)


def _figures(place: Place) -> Iterator[Figure]:
    for part in _PARTS:
        try:
            for figure in part.measured(place):
                yield replace(figure, least=None, most=None) if place.small else figure
        except Exception:  # of whatever kind: what else there is to measure on a borrowed card is not lost
            yield Figure(table=part.__name__.rpartition(".")[2], case="failed", what=traceback.format_exc().strip(), value=float("nan"))
