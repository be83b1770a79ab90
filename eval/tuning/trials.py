"""The Faiss files that were built for trying."""

from __future__ import annotations

from pathlib import Path

from ance_ir.errors import IndexingError
from ance_ir.files import write_json
from ance_ir.indexes.ann.build import faiss_paths
from ance_ir.indexes.ann.settings import FaissSettings, parse_backend
from ance_ir.typed_json import read_typed


class Trials:
    """Knows which files of a folder were not there before they were tried, also when trying was broken off and begun again.

    Args:
        folder: of an index's Faiss files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "trials.json"
        self._tried: list[str] = []
        if self._path.exists():
            self._tried = read_typed(self._path, list[str], error=IndexingError, remedy="remove the file")

    def begin(self, settings: FaissSettings) -> None:
        """To be said before a family is built."""
        if not faiss_paths(self._folder, settings)[1].exists() and str(settings) not in self._tried:
            self._tried.append(str(settings))
            write_json(self._path, self._tried)

    def end(self, kept: str | None) -> None:
        """Remove what was built for trying, but for what a backend uses; ``None`` keeps all."""
        for backend in self._tried if kept is not None else []:
            if kept == "exact" or parse_backend(str(kept)).slug != parse_backend(backend).slug:
                index, told = faiss_paths(self._folder, parse_backend(backend))
                told.unlink(missing_ok=True)
                index.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
