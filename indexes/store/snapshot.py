"""An index as it was when it was opened, unaffected by later changes of other processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from ance_ir.digests import hash_files
from ance_ir.errors import DamagedIndexError, IndexingError
from ance_ir.files import restore, write_json
from ance_ir.indexes.store.table import DocumentTable, checksums
from ance_ir.indexes.store.vectors import Shard, VectorStore
from ance_ir.models import TextSettings
from ance_ir.typed_json import read_typed

FORMAT = 2
MANIFEST = "manifest.json"
ARTIFACT = "pt_meta.json"
"""Beside the manifest of every dense index; those for BM25 have none, those of sparse vectors name another type."""
DOCNOS = "docnos"
"""A folder in indexes for BM25, among others."""
_READ = (1, FORMAT)  # 1 has no updates, and no checksums but of shards
_REMEDY = "build the index again"


class _Encoding(TypedDict):
    model: str
    fingerprint: str
    passages: str | None
    text: TextSettings
    similarity: NotRequired[str]
    precision: NotRequired[str]
    pooling: NotRequired[str | None]
    passage_fingerprint: NotRequired[str | None]


class _Format(TypedDict):
    format: int


class _Artifact(TypedDict):
    type: str


class _Manifest(TypedDict):
    encoding: _Encoding | None
    dimension: int
    dtype: Literal["float16", "float32"]
    largest_norm: float
    documents: int
    most_passages: int
    vectors: int
    shards: list[Shard]
    checksums: NotRequired[dict[str, str]]
    tables: NotRequired[str]
    deleted: NotRequired[str | None]
    layout: NotRequired[int]
    generation: NotRequired[int]
    documents_encoded: NotRequired[int]


class Snapshot:
    """All files of an index, mapped: files that are removed or replaced later stay readable here.

    Attributes:
        manifest: the content of ``manifest.json``.
        vectors: the vectors.
        table: the documents.

    Raises:
        DamagedIndexError: a file is missing or damaged.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.vectors = VectorStore(folder, manifest)
        self.table = DocumentTable(folder, manifest, len(self.vectors))

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Open an index; if another process changes it at the same time, its new state.

        Raises:
            IndexingError: there is no index.
            DamagedIndexError: it is not complete, or a file is missing or damaged.
        """
        while True:
            manifest = read_manifest(folder)
            try:
                opened = cls(folder, manifest)
            except DamagedIndexError:
                if read_manifest(folder) == manifest:
                    raise
            else:
                if read_manifest(folder) == manifest:
                    return opened

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            DamagedIndexError: names the files that were altered.
        """
        expected = {shard.file: shard.checksum for shard in self.vectors.shards} | self.manifest.get("checksums", {})
        damaged = [file for file, checksum in expected.items() if _checksum(self.folder / file) != checksum]
        if damaged:
            raise DamagedIndexError(f"{self.folder}: checksums differ for {', '.join(damaged)}; build the index again")


def _checksum(path: Path) -> str | None:
    return hash_files([path]) if path.exists() else None


def faiss_folder(manifest: dict[str, Any]) -> str:
    """The folder of the Faiss files in an index: another one once the rows have other numbers."""
    return f"faiss-{manifest.get('layout', 0):05d}"


def graphs_named(manifest: dict[str, Any]) -> str:
    """What the names of corpus graphs in an index begin with: something else after each change."""
    return f"graph-{manifest.get('generation', 0):05d}"


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of an index whose other files are complete."""
    write_json(folder / MANIFEST, {"format": FORMAT, **manifest, "checksums": checksums(folder, manifest)})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The content of an index's ``manifest.json``.

    Raises:
        IndexingError: there is no index.
        DamagedIndexError: it is not complete, or its format is not known.
    """
    restore(folder)
    if not folder.is_dir():
        raise IndexingError(f"{folder}: there is no index; build one with `ance-ir index` or AnceIndex(path).index(...)")
    path = folder / MANIFEST
    try:
        if read_typed(path, _Format, error=DamagedIndexError, remedy=_REMEDY)["format"] not in _READ:
            raise DamagedIndexError(f"{folder}: its manifest is not of format {FORMAT}; build the index again")
        manifest: dict[str, Any] = read_typed(path, _Manifest, error=DamagedIndexError, remedy=_REMEDY)
    except DamagedIndexError as error:
        if _is_of_another_kind(folder):
            others = "`ance-ir index info` and `ance-ir search` take those of other kinds"
            raise IndexingError(f"{folder} is no dense index; {others}") from error
        raise
    except FileNotFoundError as error:
        raise DamagedIndexError(f"{folder}: there is no manifest.json, so the index is not complete; build it again") from error
    names = [(r"vectors-\d+\.npy", shard["file"]) for shard in manifest["shards"]]
    names += [
        (r"documents-\d+", manifest.get("tables") or "documents-0"),
        (r"deleted-\d+\.npy", manifest.get("deleted") or "deleted-0.npy"),
    ]
    for pattern, name in names:
        if not re.fullmatch(pattern, name):
            raise DamagedIndexError(f"{path}: expected a name like {pattern}, found {name!r}; {_REMEDY}")
    return manifest


def _is_of_another_kind(folder: Path) -> bool:
    described = folder / ARTIFACT
    if not described.exists():
        return (folder / DOCNOS).is_dir()
    kind: str = read_typed(described, _Artifact, error=DamagedIndexError, remedy=_REMEDY)["type"]
    return kind != "dense_index"
