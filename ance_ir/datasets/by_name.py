"""Datasets by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.datasets.sources import SOURCES
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path, data_folder


def load_dataset(name: str | Path) -> Dataset:
    """The dataset of that name; nothing of it is read yet.

    Args:
        name: in this order, a file or folder in one of the layouts (``ance_ir.datasets.layouts``); the name of one under
            ``$ANCE_IR_DATA``; an embedded collection; ``nq``, ``triviaqa`` or ``curated-trec``: test questions from a file over DPR's
            passages; an id of ``ir_datasets`` or one of our aliases for it. ``rows.parquet[text=body; docno=key]`` names the columns of
            a file. A ``Path`` is always a file or folder.

    Raises:
        DatasetNotFoundError: none of these.
        DatasetError: a collection directory that is ambiguous.
    """
    if isinstance(name, Path):
        path = as_path(name)
        return load_dataset(str(path.absolute())) if path.exists() else DirectoryDataset(path)
    sources = sorted(SOURCES.values(), key=lambda source: source.order)
    for source in sources:
        if (dataset := source.open(name)) is not None:
            return dataset
    names = [known for source in sources for known in source.names()]
    close = difflib.get_close_matches(name, [*names, *(known for source in sources for known in source.more())], n=5)
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    raise DatasetNotFoundError(
        f"no dataset {name!r}. {hint}A dataset is a file or folder, an id of ir_datasets (https://ir-datasets.com), or one of "
        f"{', '.join(names)} (ANCE_IR_DATA is {data_folder() or 'not set'})"
    )
