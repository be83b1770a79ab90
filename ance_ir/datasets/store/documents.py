"""Documents on disk, found by docno or number; the corpus is not held in memory."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from ance_ir.arrays import map_array, map_bytes, save_array
from ance_ir.datasets.screening import DUPLICATE, Document, OnError, Screening, Unusable
from ance_ir.datasets.store.docnos import DocnoMap, hash_text
from ance_ir.errors import DatasetError, DocumentNotFoundError
from ance_ir.files import as_path, atomic_folder, write_json
from ance_ir.notices import examples
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

FORMAT = 2
_REMEDY = "remove the folder; it is rebuilt when it is needed"


class _Manifest(TypedDict):
    format: int
    fingerprint: str
    left_out: dict[str, int]
    first_left_out: NotRequired[dict[str, str]]


class DocumentStore:
    """The N documents of a folder that ``DocumentStore.build`` made, numbered from 0 in corpus order.

    Only the folder's path is pickled; the files are mapped on first use.

    Attributes:
        docno_map: from numbers to docnos and back.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder)
        self.docno_map = DocnoMap(folder)

    @staticmethod
    def is_complete(folder: Path | str) -> bool:
        """Whether there is a complete store of the present format."""
        try:
            return bool(_read_manifest(as_path(folder))["format"] == FORMAT)
        except (FileNotFoundError, DatasetError):
            return False

    @staticmethod
    def build(
        documents: Iterable[Mapping[str, Any] | Unusable],
        folder: Path | str,
        *,
        count: int | None = None,
        on_error: OnError = "raise",
        verbose: bool = False,
    ) -> DocumentStore:
        """Write documents to ``folder``, which appears whole or not at all. Memory: 48 bytes a document.

        Args:
            documents: the corpus; read once. Fields that a ``Document`` does not have are dropped.
            folder: a new folder, or one to replace.
            count: number of documents, only for the progress bar.
            on_error: what to do with documents that cannot be used; see ``OnError``.
            verbose: show progress.

        Raises:
            DatasetError: there are no documents, or, unless such are left out, a docno occurs twice or an item is no document.
            UsageError: there is no such policy.
        """
        screening = Screening(on_error)
        logger.info("writing the documents to %s", folder)
        with atomic_folder(folder, "documents.jsonl") as unfinished:
            progress = tqdm(documents, total=count, desc="documents", unit=" documents", disable=not verbose)
            fingerprint = _write(screening.usable(progress), unfinished, unique=on_error == "raise")
            draft = DocumentStore(unfinished)
            if len(repeated := draft.docno_map.repeated()):
                screening.count(DUPLICATE, repr(draft.docnos(repeated[0]).item()), len(repeated))
                fingerprint = _write_again(draft, np.setdiff1d(np.arange(len(draft)), repeated))
            screening.log()
            if not len(draft):
                raise DatasetError("the corpus holds no documents")
            manifest = {"format": FORMAT, "documents": len(DocumentStore(unfinished)), "fingerprint": fingerprint}
            left_out = {"left_out": screening.left_out, "first_left_out": screening.first_left_out}
            write_json(unfinished / "manifest.json", {**manifest, **left_out})
        return DocumentStore(folder)

    def __len__(self) -> int:
        return len(self.docno_map)

    def __getitem__(self, number: int) -> Document:
        """The document of that number; IndexError below 0 and from N."""
        if not 0 <= number < len(self):
            raise IndexError(f"document number {number} is not in 0 ... {len(self) - 1}")
        try:
            document: Document = json.loads(self._lines[self._offsets[number] : self._offsets[number + 1]].decode())
        except (ValueError, RecursionError) as error:
            raise self._damaged(number) from error
        if not (isinstance(document, dict) and isinstance(document.get("docno"), str) and isinstance(document.get("text"), str)):
            raise self._damaged(number)
        return document

    def _damaged(self, number: int) -> DatasetError:
        return DatasetError(f"{self.folder}: document number {number} is damaged; {_REMEDY}")

    def __iter__(self) -> Iterator[Document]:
        return (self[number] for number in range(len(self)))

    @property
    def byte_count(self) -> int:
        """How many bytes all documents take on disk."""
        return int(self._offsets[-1])

    def sizes(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many bytes the documents of B numbers take on disk: ``[B]`` int64."""
        return self._offsets[numbers + 1] - self._offsets[numbers]

    def numbers(self, docnos: Sequence[str]) -> npt.NDArray[np.int64]:
        """The numbers of B docnos: ``[B]`` int64, -1 where unknown."""
        return self.docno_map.numbers(docnos)

    def docnos(self, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
        """The docnos of an array of numbers: an object array of str, of the same shape; IndexError below 0 and from N."""
        return self.docno_map.docnos(numbers)

    def get(self, docnos: Sequence[str]) -> list[Document]:
        """The documents of those docnos, in that order.

        Raises:
            DocumentNotFoundError: docnos that the corpus does not hold.
        """
        numbers = self.numbers(docnos)
        missing = list(dict.fromkeys(docno for docno, number in zip(docnos, numbers, strict=True) if number < 0))
        if missing:
            raise DocumentNotFoundError(
                f"{len(missing)} docno(s) not among the {len(self)} documents of the corpus: {examples(missing, 5)}"
            )
        return [self[int(number)] for number in numbers]

    @property
    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of the documents, all their fields, and their order."""
        return str(self._manifest["fingerprint"])

    @property
    def left_out(self) -> dict[str, int]:
        """The number of documents of the corpus that were left out, by what was wrong with them."""
        return dict(self._manifest["left_out"])

    def left_out_text(self) -> str:
        """``left_out`` in a line, with the first of each kind."""
        first = self._manifest.get("first_left_out", {})
        counts = "; ".join(f"{count} × {kind}{f', first {first[kind]}' if kind in first else ''}" for kind, count in self.left_out.items())
        return f"left out of the corpus: {counts}"

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return _read_manifest(self.folder)

    @cached_property
    def text_hashes(self) -> npt.NDArray[np.uint64]:
        """``[N]`` uint64 memory map: equal if title and text are equal up to white space; docno and url do not count."""
        return map_array(self.folder / "text_hashes.npy", "uint64", (len(self),), remedy=_REMEDY)

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        return map_array(self.folder / "offsets.npy", "int64", (len(self) + 1,), remedy=_REMEDY)

    @cached_property
    def _lines(self) -> mmap.mmap:
        return map_bytes(self.folder / "documents.jsonl", remedy=_REMEDY)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder.absolute(), "docno_map": self.docno_map}


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = read_typed(folder / "manifest.json", _Manifest, error=DatasetError, remedy=_REMEDY)
    return manifest


def text_hash(document: Document) -> int:
    """A hash of title and text, up to white space."""
    return hash_text(" ".join(f"{document.get('title', '')} {document['text']}".split()))


def _write(documents: Iterable[Document], folder: Path, *, unique: bool = True) -> str:
    """Write all files of a store except its manifest; returns the fingerprint of the documents."""
    digest = hashlib.blake2b(digest_size=16)
    DocnoMap.write(_write_texts(documents, folder, digest), folder, unique=unique)
    return digest.hexdigest()


def _write_again(store: DocumentStore, numbers: npt.NDArray[np.int64]) -> str:
    """Keep only the documents of these numbers."""
    again = store.folder / "again"
    again.mkdir()
    fingerprint = _write((store[int(number)] for number in numbers), again)
    for path in again.iterdir():
        path.replace(store.folder / path.name)
    again.rmdir()
    return fingerprint


def _write_texts(documents: Iterable[Document], folder: Path, digest: hashlib.blake2b) -> Iterator[str]:
    """Write ``documents.jsonl``, ``offsets.npy`` and ``text_hashes.npy``; yield the docno of each document once it is written."""
    offsets, hashes = array("q", [0]), array("Q")
    with (folder / "documents.jsonl").open("wb") as stream:
        for document in documents:
            line = json.dumps(document, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            stream.write(line)
            offsets.append(stream.tell())
            hashes.append(text_hash(document))
            yield document["docno"]
    save_array(folder / "offsets.npy", np.frombuffer(offsets, dtype=np.int64))
    save_array(folder / "text_hashes.npy", np.frombuffer(hashes, dtype=np.uint64))
