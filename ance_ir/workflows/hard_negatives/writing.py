"""Hard negatives in the training files of other tools, and as a TREC run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.choices import check_choice
from ance_ir.datasets import Dataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts import LAYOUTS
from ance_ir.errors import UsageError
from ance_ir.eval.runs.files import check_names
from ance_ir.eval.runs.formats import RUN_FORMATS
from ance_ir.files import as_path, atomic_folder, atomic_open
from ance_ir.workflows.hard_negatives.mine import mine_negatives
from ance_ir.workflows.hard_negatives.report import MiningReport
from ance_ir.workflows.hard_negatives.settings import HardNegatives
from ance_ir.workflows.planning.estimates import announced

TREC = "trec"
"""The format that is no layout: a run of the negatives alone."""


def write_negatives(
    dataset: Dataset,
    system: str,
    out: Path | str,
    layout: str,
    how: HardNegatives | None = None,
    *,
    say: Callable[[str], object] | None = None,
    **options: Any,
) -> MiningReport:
    """Mine hard negatives into a training file, which appears whole or not at all.

    What is mined is kept in the folder ``OUT.mining`` until the file is there; after an interruption, the same call resumes it and writes
    the same file. Layouts whose records must all have as many negatives get no query that has fewer.

    Args:
        dataset: see ``mine_negatives``.
        system: likewise.
        out: the file to write; of layouts, a name without ending is that of a folder, in which the file is called like the split.
        layout: a layout of training records, or ``"trec"``: a run of the negatives, without the positives, always with scores.
        how: which negatives.
        say: called with an estimate of what long mining will take, and with what it took.
        options: see ``mine_negatives``.

    Raises:
        UsageError: no such layout, or something is at ``out``; or see ``mine_negatives``.
    """
    out = as_path(out)
    formats = {name: found for name, found in LAYOUTS.items() if found.write_records is not None}
    check_choice("format of training files", layout, [*formats, TREC])
    if out.exists():
        raise UsageError(f"{out} exists: give another name, or remove it")
    settings = {field.name: options.pop(field.name) for field in dataclasses.fields(HardNegatives) if field.name in options}
    how = dataclasses.replace(how or HardNegatives(), **settings)
    even = layout != TREC and formats[layout].even
    how = dataclasses.replace(how, at_least=how.negatives_per_query if even else max(1, how.at_least))
    mined = mine_negatives(dataset, system, how, work=out.with_name(f"{out.name}.mining"), **options)
    with announced(mined.estimate() if say else None, say):
        if layout == TREC:
            _write_runs(mined.runs(), out, "mined")
        else:
            _write_records(formats[layout], mined, out, options.get("split", "train"))
    mined.blocks.remove()
    return mined.report


def _write_records(layout: Layout, records: Iterable[TrainingRecord], out: Path, split: str) -> None:
    """Write a file, or a folder with one, by the same rule as ``convert``."""
    assert layout.write_records is not None
    if out.suffix or not layout.ending:
        layout.write_records(records, out)
        return
    name = split.replace("/", "-") + layout.ending
    with atomic_folder(out, name) as folder:
        layout.write_records(records, folder / name)


def _write_runs(runs: Iterable[pd.DataFrame], path: Path, tag: str) -> None:
    lines = RUN_FORMATS[TREC].lines
    assert lines is not None
    with atomic_open(path) as file:
        for run in runs:
            check_names(run, tag)
            file.writelines(lines(run, tag))
