"""From one layout to another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ance_ir.choices import check_choice
from ance_ir.datasets.contents import FIELDS, Contents
from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.layouts import LAYOUTS
from ance_ir.datasets.part import Part
from ance_ir.errors import UsageError
from ance_ir.files import as_path


def convert(
    dataset: Dataset,
    layout: str,
    out: Path | str,
    *,
    drop: Collection[str] = (),
    splits: Sequence[str] = (),
    documents: int | None = None,
    verbose: bool = False,
) -> None:
    """Write a dataset in another layout; ids, texts and labels stay as they are. A stream: memory does not grow with the corpus.

    Args:
        dataset: what is written.
        layout: one of ``LAYOUTS`` that can be written.
        out: the file or folder to write; it appears whole or not at all.
        drop: what to leave out, of ``FIELDS``. What the layout cannot hold, and is not left out so, is refused.
        splits: what to write, ``SPLIT`` or ``SPLIT:N`` for N of its queries, see ``Part``; by default all.
        documents: write so many alone, see ``Part``; by default all.
        verbose: show progress.

    Raises:
        UsageError: no such layout, one that is not written, no such field, or something is at ``out``.
        LossError: the layout cannot hold something that the dataset has.
        DatasetNotFoundError: no such split.
    """
    out = as_path(out)
    chosen = LAYOUTS.find(layout)
    for name in drop:
        check_choice("field to drop", name, FIELDS)
    if chosen.write is None:
        writable = [name for name, other in LAYOUTS.items() if other.write is not None]
        raise UsageError(f"the layout {layout} is read and not written; written are {', '.join(writable)}")
    if out.exists():
        raise UsageError(f"{out} exists: give another name, or remove it")
    if documents is not None or not all(map(dataset.has_split, splits)):
        dataset, splits = Part(dataset, splits, documents), ()
    chosen.write(Contents(dataset, layout, chosen.holds, drop=drop, splits=splits, verbose=verbose), out)
