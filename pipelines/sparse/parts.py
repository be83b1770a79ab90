"""The encoding of a stream of documents in parts, which an interrupted build finds again.

A part is known by the model and the texts in it, so it is used again wherever the same texts come again::

    x.splade.building/workspace.json    says that the folder is a workspace
    x.splade.building/HASH.npz          weights, float32 [documents of the part, V], as scipy writes sparse matrices
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import scipy.sparse
from scipy.sparse import csr_array

from ance_ir.digests import digest_bytes
from ance_ir.errors import IndexingError
from ance_ir.files import atomic_folder, atomic_path, remove_folder, remove_leftovers, write_json
from ance_ir.models import SparseEncoder
from ance_ir.progress import Progress

_SIGN = "workspace.json"

PART = 1024
"""Documents of a part."""


class EncodedParts:
    """The weights of documents, in files.

    Args:
        folder: the workspace, which is made, or was left by an earlier process.
        model: the encoder.
        progress: is told of each document.

    Attributes:
        documents: how many were encoded.
        largest: the largest weight.

    Raises:
        UsageError: there is something else at the folder's path.
    """

    def __init__(self, folder: Path, model: SparseEncoder, progress: Progress) -> None:
        if not (folder / _SIGN).exists():
            with atomic_folder(folder, _SIGN) as made:
                write_json(made / _SIGN, {"model": model.name})
        remove_leftovers(folder)
        self._folder = folder
        self._model = model
        self._fingerprint = model.fingerprint()
        self._progress = progress
        self._files: list[Path] = []
        self._texts: list[str] = []
        self.documents = 0
        self.largest = 0.0

    def add(self, text: str) -> None:
        """Encode the next document."""
        self._texts.append(text)
        if len(self._texts) == PART:
            self.finish_part()

    def finish_part(self) -> None:
        """Encode the documents that wait."""
        if not self._texts:
            return
        key = digest_bytes([self._fingerprint.encode(), *(len(text).to_bytes(8) + text.encode() for text in self._texts)])
        path = self._folder / f"{key}.npz"
        if path.exists():
            weights = _read(path)
        else:
            weights = self._model.encode_documents(self._texts)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                scipy.sparse.save_npz(stream, weights, compressed=False)
        self._files.append(path)
        self.documents += len(self._texts)
        self.largest = max(self.largest, float(weights.data.max(initial=0)))
        self._progress.update(len(self._texts))
        self._texts = []

    def __iter__(self) -> Iterator[csr_array]:
        """The parts, in the order of the documents."""
        return map(_read, self._files)

    def remove(self) -> None:
        """Remove the files."""
        remove_folder(self._folder)


def _read(path: Path) -> csr_array:
    try:
        return csr_array(scipy.sparse.load_npz(path))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise IndexingError(f"{path} is damaged ({error}); remove it and start again") from error
