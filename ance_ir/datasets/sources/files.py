"""A file or folder in one of the layouts, by its path or by its name under ANCE_IR_DATA."""

from __future__ import annotations

from ance_ir.datasets.archives import innermost, is_archive, unpacked
from ance_ir.datasets.columns import split_columns
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layouts import open_path
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.datasets.recognition import hint_folder
from ance_ir.datasets.source import Source, find_path
from ance_ir.datasets.tables import find_tables, is_table, open_table
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path, data_folder


def _open(name: str) -> FileDataset | None:
    place, columns = (name, {}) if find_path(name) else split_columns(name)
    path = find_path(place)
    if path is None:
        return None
    if is_archive(path):
        path = unpacked(path)
        called = path.name
    else:
        called = path.resolve().name if path == as_path(place) else place
    found = open_path(path, called, columns)
    if found is not None:
        return found
    tables = [path] if is_table(path) else [] if path.is_file() or hint_folder(path) else find_tables(path)
    if path.is_dir() and not tables:
        return DirectoryDataset(path, called)  # which says what is missing
    if not tables:
        raise DatasetNotFoundError(f"{path} is in none of the layouts; `ance-ir layouts` lists them")
    if path.is_dir() and (inner := innermost(path)) != path and open_path(inner, inner.name, columns) is not None:
        raise DatasetNotFoundError(f"{path} is in none of the layouts, but the folder in it is: give {inner}")
    names = list(open_table(tables[0]).first())
    if not names:
        raise DatasetNotFoundError(f"{tables[0]} holds no records")
    raise DatasetNotFoundError(
        f"{path} is in none of the layouts (see `ance-ir layouts`): the columns of {tables[0].name} are {', '.join(names)}. "
        "Where they have other names, say so: --column text=abstract, or --column anchor=question --column positive=answer"
    )


def _names() -> list[str]:
    data = data_folder()
    return sorted(path.name for path in data.iterdir() if path.is_dir()) if data and data.is_dir() else []


SOURCE = Source(order=0, open=_open, names=_names)
