"""The folder next to an index in which work on it is done, until the result takes its place.

::

    x.ance.building/workspace.json   says that the folder is a workspace
    x.ance.building/documents/       the documents of a stream
    x.ance.building/index/           the index
    x.ance.building/placing.json     which index is being put in place; written when all is encoded
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

from ance_ir.errors import AnceError, IndexingError
from ance_ir.files import atomic_folder, check_replaceable, read_json, remove_folder, remove_leftovers, restore, write_json
from ance_ir.indexes.store.commit import put_in_place
from ance_ir.indexes.store.snapshot import MANIFEST
from ance_ir.locks import alone
from ance_ir.typed_json import read_typed

_SIGN = "workspace.json"
_PLACING = "placing.json"


class _Placing(TypedDict):
    inode: int


class Workspace:
    """The workspace of an index.

    Args:
        target: the index's folder.
        kind: of the work; the end of the folder's name.
    """

    def __init__(self, target: Path, kind: str) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.{kind}")
        self.documents = self.folder / "documents"
        self.index = self.folder / "index"
        self._found = _inode(target)

    def check(self, *, overwrite: bool) -> None:
        """Refuse to build where there is an index or something else, except for an index that this workspace has just put there.

        Raises:
            IndexingError: there is an index.
            UsageError: there is something else, at the index's path or at the workspace's.
        """
        restore(self.target)
        if (self.target / MANIFEST).exists() and not overwrite and not self._has_placed():
            raise IndexingError(f"{self.target} already holds an index; choose another path, or overwrite it (--overwrite)")
        check_replaceable(self.target, MANIFEST)
        check_replaceable(self.folder, _SIGN)

    def begin(self) -> None:
        """Make the folder, or continue in one that an earlier process has left.

        Raises:
            UsageError: something else has its name.
        """
        check_replaceable(self.folder, _SIGN)
        if not (self.folder / _SIGN).exists():
            with atomic_folder(self.folder, _SIGN) as folder:
                write_json(folder / _SIGN, {"index": self.target.name})
        remove_leftovers(self.folder)
        if self._has_placed() and self.index.exists():  # the index that was replaced
            remove_folder(self.index)

    @contextlib.contextmanager
    def claimed(self, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
        """Begin, and hold the folder for this process. An error before any part is encoded removes the folder.

        Args:
            meanwhile: called again and again while another process holds it; by default this one only waits.
        """
        with alone(self.folder, "building an index", meanwhile):
            self.begin()
            try:
                yield
            except AnceError:
                if self.folder.exists() and not any(self.index.glob("part-*.json")) and not (self.folder / _PLACING).exists():
                    self.remove()
                raise

    def put_in_place(self) -> None:
        """Move the index to its place, and remove the folder."""
        write_json(self.folder / _PLACING, {"inode": self.index.stat().st_ino})
        put_in_place(self.index, self.target)
        self.remove()

    def has_placed(self, description: dict[str, Any]) -> bool:
        """Whether another process has put the same index in its place: one that was killed since, or one that this one has waited for.

        Args:
            description: of the index; see ``CorpusEncoding.description``.
        """
        path = self.target / "corpus.json"
        placed = self._has_placed() or _inode(self.target) != self._found
        return placed and path.exists() and bool(read_json(path) == description)

    def remove(self) -> None:
        """Remove the folder."""
        remove_folder(self.folder)

    def _has_placed(self) -> bool:
        sign = self.folder / _PLACING
        if not (sign.exists() and self.target.exists()):
            return False
        placed = read_typed(sign, _Placing, error=IndexingError, remedy=f"remove {self.folder}")
        return bool(_inode(self.target) == placed["inode"])


def _inode(folder: Path) -> int | None:
    """By which a folder is told from another that takes its place."""
    return folder.stat().st_ino if folder.exists() else None
