"""Datasets by name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.directory import DirectoryDataset
from ance_ir.datasets.irds import IrDataset, find_ir_dataset
from ance_ir.datasets.stdlib import NAME as STDLIB
from ance_ir.datasets.stdlib import python_stdlib
from ance_ir.errors import DatasetNotFoundError

EMBEDDED = {STDLIB: python_stdlib}

ALIASES = {
    "trec-dl-2019/passage": "msmarco-passage/trec-dl-2019/judged",
    "trec-dl-2020/passage": "msmarco-passage/trec-dl-2020/judged",
    "trec-dl-2019/document": "msmarco-document/trec-dl-2019/judged",
    "trec-dl-2020/document": "msmarco-document/trec-dl-2020/judged",
    "nq/dev": "dpr-w100/natural-questions/dev",
    "nq/train": "dpr-w100/natural-questions/train",
    "trivia-qa/dev": "dpr-w100/trivia-qa/dev",
    "trivia-qa/train": "dpr-w100/trivia-qa/train",
}
"""Short names of our own for ids of ``ir_datasets``."""


def load_dataset(name: str | Path) -> Dataset:
    """The dataset of that name; nothing of it is read yet.

    Args:
        name: in this order, a collection directory; the name of one under ``$ANCE_IR_DATA``; an embedded collection;
            an id of ``ir_datasets`` or one of our aliases for it.

    Raises:
        DatasetNotFoundError: none of these.
        DatasetError: a collection directory that is ambiguous.
    """
    if Path(name).is_dir() or isinstance(name, Path):
        return DirectoryDataset(name)
    data = os.environ.get("ANCE_IR_DATA")
    if data and (Path(data) / name).is_dir():
        return DirectoryDataset(Path(data) / name, name)
    if name in EMBEDDED:
        return EMBEDDED[name]()
    identifier = ALIASES.get(name, name)
    if find_ir_dataset(identifier) is not None:
        return IrDataset(identifier, name)
    raise DatasetNotFoundError(_not_found(name, data))


def _not_found(name: str, data: str | None) -> str:
    import ir_datasets

    local = sorted(path.name for path in Path(data).iterdir() if path.is_dir()) if data and Path(data).is_dir() else []
    ours = [*local, *EMBEDDED, *ALIASES]
    close = difflib.get_close_matches(name, [*ours, *ir_datasets.registry], n=5)
    return (
        f"no dataset {name!r}: looked for a directory, a folder of that name under ANCE_IR_DATA ({data or 'not set'}), "
        f"an embedded collection and an id of ir_datasets. "
        + (f"Did you mean {', '.join(close)}? " if close else "")
        + f"There are {', '.join(ours)}, and the ids of ir_datasets (https://ir-datasets.com)"
    )
