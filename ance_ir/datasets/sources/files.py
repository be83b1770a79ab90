"""A file or folder in one of the layouts, by its path or by its name under ANCE_IR_DATA."""

from __future__ import annotations

from ance_ir.datasets.columns import split_columns
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layouts import open_path
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.datasets.source import Source, find_path
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path, data_folder


def _open(name: str) -> FileDataset | None:
    place, columns = (name, {}) if find_path(name) else split_columns(name)
    path = find_path(place)
    if path is None:
        return None
    called = path.resolve().name if path == as_path(place) else place
    found = open_path(path, called, columns)
    if found is None and path.is_dir():
        return DirectoryDataset(path, called)  # which says what is missing
    if found is None:
        raise DatasetNotFoundError(
            f"{path} is in none of the layouts (see `ance-ir layouts`); where columns have other names, say so: --column text=body"
        )
    return found


def _names() -> list[str]:
    data = data_folder()
    return sorted(path.name for path in data.iterdir() if path.is_dir()) if data and data.is_dir() else []


SOURCE = Source(order=0, open=_open, names=_names)
