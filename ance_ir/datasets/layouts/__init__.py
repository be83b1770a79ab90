"""Layouts of collections and training data on disk: one module for each, whose ``LAYOUT`` recognises, reads and writes it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ance_ir import registries
from ance_ir.compression import find_file
from ance_ir.datasets.archives import innermost
from ance_ir.datasets.contents import FIELDS
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.errors import AnceError, DatasetError
from ance_ir.registry import Registry

__all__ = ["LAYOUTS", "layouts_table", "open_path"]

logger = logging.getLogger(__name__)

LAYOUTS: Registry[Layout] = registries.DATASET_LAYOUTS
"""The layouts of collections and of training data, by name."""


def open_path(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    """The dataset at a path, in whichever layout recognises it; ``None`` if none does.

    Args:
        path: a file or folder.
        name: what the dataset is to be called; a layout may prefer another name.
        columns: other names of columns, see ``Table``.

    Raises:
        DatasetError: a folder holds files of two layouts, or one file twice.
    """
    ordered = sorted(LAYOUTS.values(), key=lambda layout: layout.order)
    if path.is_dir():
        _check_unmixed(path)
        if _has_inner(path):
            ordered = [layout for layout in ordered if layout.marks]
    if not columns:
        return _first(ordered, path, name, {})
    without = _layout_without(ordered, path, name)
    try:
        found = _first(ordered, path, name, columns)
    except DatasetError as error:
        if not without:
            raise
        raise DatasetError(f"{error}. Without --column it is read as {without}") from None
    if found is not None:
        found.columns = columns
        if without and without != found.layout:
            logger.warning("%s is read as %s, since columns are named; without --column it is read as %s", path, found.layout, without)
    return found


def _layout_without(layouts: Iterable[Layout], path: Path, name: str) -> str:
    """The layout that is recognised where no columns are named, if one is."""
    with contextlib.suppress(AnceError):
        found = _first(layouts, path, name, {})
        return found.layout if found is not None else ""
    return ""


def _first(layouts: Iterable[Layout], path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    """The dataset at a path, in the first of some layouts that recognises it."""
    return next((found for layout in layouts if (found := layout.open(path, name, columns)) is not None), None)


def _check_unmixed(folder: Path) -> None:
    found = {mark: name for name, layout in LAYOUTS.items() for mark in layout.marks if find_file(folder, mark)}
    if len(found) > 1:
        held = " and ".join(f"{mark} ({name})" for mark, name in found.items())
        raise DatasetError(f"{folder} mixes layouts: it has {held}; put them into folders of their own")


def _has_inner(folder: Path) -> bool:
    """Whether a folder in the folder is in a layout of its own, so that one without marks must not take its files for parts."""
    marks = [mark for layout in LAYOUTS.values() for mark in layout.marks]
    inner = {child for child in folder.iterdir() if child.is_dir() and child.name not in _PARTS} | {innermost(folder)} - {folder}
    return any(find_file(child, mark) for child in inner for mark in marks)


_PARTS = ("corpus", "queries", "qrels")
"""Folders for the parts of one collection, as the Hugging Face Hub has them."""


def layouts_table() -> list[dict[str, Any]]:
    """The layouts, for lists: ``name``, ``summary``, ``example``, ``holds`` (list of str) and ``written`` (bool) of each."""
    return [
        {
            "name": name,
            "summary": LAYOUTS.summary(name),
            "example": layout.example,
            "holds": [field for field in FIELDS if field in layout.holds],
            "written": layout.write is not None,
        }
        for name, layout in LAYOUTS.items()
    ]
