"""The Faiss files that tuning has built."""

from __future__ import annotations

from pathlib import Path

from ance_ir.errors import IndexingError
from ance_ir.files import write_json
from ance_ir.indexes.ann.build import faiss_paths
from ance_ir.indexes.ann.settings import FaissSettings, parse_backend
from ance_ir.typed_json import read_typed


class Trials:
    """Remembers in a file which Faiss files tuning has built, so that an interrupted tuning can remove them too when it is run again.

    Args:
        folder: of an index's Faiss files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "trials.json"
        self._tried: list[str] = []
        if self._path.exists():
            self._tried = read_typed(self._path, list[str], error=IndexingError, remedy="remove the file")

    def begin(self, settings: FaissSettings) -> None:
        """Note settings before their files are built."""
        if not faiss_paths(self.folder, settings)[1].exists() and str(settings) not in self._tried:
            self._tried.append(str(settings))
            write_json(self._path, self._tried)

    def end(self, kept: str | None) -> None:
        """Remove the files built, except those of the backend ``kept``; ``None`` keeps all."""
        for backend in self._tried if kept is not None else []:
            if kept == "exact" or parse_backend(str(kept)).slug != parse_backend(backend).slug:
                index, description = faiss_paths(self.folder, parse_backend(backend))
                description.unlink(missing_ok=True)
                index.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
