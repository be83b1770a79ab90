"""Changes of an existing index: documents are added and deleted, and the space of deleted ones is freed.

Shards are never altered. A change writes new files next to the old ones and then a new manifest, the only step that other processes see;
files that no manifest names are removed afterwards. Processes that have the index open keep the state that they opened::

    x.ance/vectors-00007.npy      shards of added documents
    x.ance/documents-00002/       docnos, tie order, offsets and hashes of texts after an addition; replace those at the top
    x.ance/deleted-00003.npy      int64, ascending: numbers of deleted documents
    x.ance/lock                   held during a change
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.datasets import DocnoMap
from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.errors import DatasetError, DocumentNotFoundError, FingerprintError, IndexingError, UsageError
from ance_ir.files import temporary_folder
from ance_ir.indexes.store.build import IndexBuild, check_row
from ance_ir.indexes.store.commit import changing, commit, next_generation
from ance_ir.indexes.store.snapshot import Snapshot
from ance_ir.indexes.store.table import DocumentTable, row_mask
from ance_ir.indexes.store.vectors import SHARD_BYTES, Shard, VectorWriter
from ance_ir.models.compute.batching import chunks

_BATCH = 65_536
MOST_SHARDS = 512
"""An index with more shards than this, not counting full ones, is compacted when documents are added."""


def add(folder: Path, rows: Iterable[dict[str, Any]], *, replace: bool = False, text_hashes: np.ndarray | None = None) -> None:
    """Add documents.

    Args:
        folder: the index's.
        rows: as for ``AnceIndex.index``, of the same model and passages.
        replace: replace documents that the index holds; otherwise they are refused.
        text_hashes: of the documents, as of ``DocumentStore``, where their texts are known.

    Raises:
        FingerprintError: rows of another model, or cut in another way.
        IndexingError: no rows, or a vector that is not finite or has another dimension.
        DatasetError: a docno occurs twice, or the index holds it.
    """
    before = Snapshot.open(folder)
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        raise IndexingError("there was no document to add")
    _check(before, first)
    with temporary_folder(folder / "adding") as stage:
        (stage / "docnos").mkdir()
        build = IndexBuild(VectorWriter(stage, before.vectors.dtype.name))
        added = DocnoMap.write(build.consume(itertools.chain([first], rows)), stage / "docnos")
        vectors = build.vectors.finish()
        with changing(folder) as now:
            if now.table.live and _part_shards(now) >= MOST_SHARDS:
                _compact(now)
                now = Snapshot.open(folder)
            _check(now, first)
            deleted = _replaced(now, added, replace=replace)
            boundaries = build.rows.boundaries()
            most = int(np.diff(boundaries).max()) if build.passages else 0
            changes = {
                "documents": len(now.table) + len(added),
                "most_passages": max(now.manifest["most_passages"], most),
                "vectors": len(now.vectors) + vectors["vectors"],
                "largest_norm": max(now.manifest["largest_norm"], vectors["largest_norm"]),
                "shards": [asdict(shard) for shard in now.vectors.shards] + _move_shards(now, stage, vectors["shards"]),
                "tables": _extend_table(now, added, deleted, boundaries, text_hashes),
            }
            commit(now, changes, deleted)


def _move_shards(now: Snapshot, stage: Path, shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put new shards next to the index's own; their entries in the manifest."""
    moved = []
    for shard, number in zip(shards, itertools.count(_next_shard(now)), strict=False):
        path = now.folder / f"vectors-{number:05d}.npy"
        (stage / shard["file"]).rename(path)
        moved.append(asdict(Shard.of(path, shard["rows"])))
    return moved


def _extend_table(now: Snapshot, added: DocnoMap, deleted: np.ndarray, boundaries: np.ndarray, text_hashes: np.ndarray | None) -> str:
    """Write the table of all documents, added ones included; the name of its folder."""
    folder = _new_table(now)
    now.table.docno_map.extend(added, deleted, folder / "docnos")
    offsets, hashes = now.table.offsets, None
    if offsets is not None:
        offsets = np.concatenate([offsets, boundaries[1:] + offsets[-1]])
    if now.table.text_hashes is not None or text_hashes is not None:
        hashes = np.concatenate([_known(now.table.text_hashes, len(now.table)), _known(text_hashes, len(added))])
    DocumentTable.write(folder, offsets, hashes)
    return folder.name


def _known(text_hashes: np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.uint64) if text_hashes is None else text_hashes


def delete(folder: Path, docnos: Iterable[str], *, missing: bool = False) -> int:
    """Delete documents: they are no longer found; ``compact`` frees their space.

    Args:
        folder: the index's.
        docnos: of the documents.
        missing: ignore docnos that the index does not hold; otherwise they are refused.

    Returns:
        How many were deleted.

    Raises:
        DocumentNotFoundError: docnos that the index does not hold.
        UsageError: a string instead of a list of strings, or a docno that is not a string.
    """
    if isinstance(docnos, str):
        raise UsageError(f"a list of docnos was expected, found the single string {docnos!r}")
    ids = Ids("the documents to delete")
    with changing(folder) as now:
        found = []
        for part in chunks(dict.fromkeys(_docno(docno, ids) for docno in docnos), _BATCH):
            numbers = now.table.numbers(part)
            if not missing and (numbers < 0).any():
                unknown = [docno for docno, number in zip(part, numbers, strict=True) if number < 0]
                raise DocumentNotFoundError(
                    f"{folder} does not hold {len(unknown)} of the documents to delete, e.g. {unknown[0]!r}; nothing was deleted"
                )
            found.append(numbers[numbers >= 0])
        ids.report()
        gone = np.concatenate([np.empty(0, dtype=np.int64), *found])
        if len(gone):
            commit(now, {}, np.union1d(now.table.deleted, gone))
    return len(gone)


def _docno(docno: object, ids: Ids) -> str:
    """A docno as an index holds it."""
    try:
        return ids.given(docno, "docno")
    except InvalidIdError as invalid:
        raise UsageError(f"to delete: {invalid}") from None


def compact(folder: Path) -> None:
    """Write the index again without its deleted documents, in full shards; Faiss files are built again when next needed.

    Raises:
        IndexingError: no document is left.
        DamagedIndexError: a file was altered.
    """
    with changing(folder) as now:
        _compact(now)


def _compact(now: Snapshot) -> None:
    if not now.table.live:
        raise IndexingError(f"{now.folder}: all documents were deleted, so none would be left; remove the folder, or add documents first")
    now.verify()
    keep = row_mask(now.table.deleted, None, len(now.table), inside=False)
    rows = row_mask(now.table.deleted, now.table.offsets, len(now.table), inside=False)
    writer = VectorWriter(now.folder, now.vectors.dtype.name, first=_next_shard(now))
    for first, vectors in now.vectors.blocks(4096):
        writer.append(vectors[rows[first : first + len(vectors)]])
    table = _new_table(now)
    (table / "docnos").mkdir()
    numbers = np.flatnonzero(keep)
    parts = (numbers[start : start + _BATCH] for start in range(0, len(numbers), _BATCH))
    DocnoMap.write(itertools.chain.from_iterable(map(now.table.docnos, parts)), table / "docnos")
    boundaries = None
    if now.table.offsets is not None:
        boundaries = np.append(0, np.cumsum(np.diff(now.table.offsets)[numbers]))
    DocumentTable.write(table, boundaries, None if now.table.text_hashes is None else now.table.text_hashes[numbers])
    changes = {
        **writer.finish(),
        "documents": len(numbers),
        "most_passages": 0 if boundaries is None else int(np.diff(boundaries).max()),
        "tables": table.name,
        "layout": next_generation(now),
    }
    commit(now, changes, np.empty(0, dtype=np.int64))


def _check(now: Snapshot, row: dict[str, Any]) -> None:
    """Refuse a row that does not fit the index."""
    check_row(row)
    if hasattr(row["doc_vec"], "__len__") and len(row["doc_vec"]) != now.vectors.dimension:
        raise IndexingError(
            f"{now.folder} holds vectors of {now.vectors.dimension} dimensions, row {row['docno']!r} has {len(row['doc_vec'])}"
        )
    made, encoding = now.manifest["encoding"], row.get("encoding")
    if encoding is None and made is None:
        return
    if not made or not encoding or not encoding.same_model(made) or encoding.passages != made["passages"]:
        expected = (made["fingerprint"], made["passages"]) if made else None
        found = (encoding.fingerprint, encoding.passages) if encoding else None
        raise FingerprintError(
            f"{now.folder} was made by {_made(expected, made and made['model'])}, row {row['docno']!r} by "
            f"{_made(found, encoding and encoding.model)}; add documents with the same model, text settings and passages"
        )


def _made(by: tuple[str, str | None] | None, model: str | None) -> str:
    return "an unknown model" if by is None else f"{model} ({by[0][:12]}) with {by[1]}"


def _replaced(now: Snapshot, added: DocnoMap, *, replace: bool) -> np.ndarray:
    """The numbers of deleted documents, including those that the added ones replace."""
    numbers = np.concatenate([now.table.numbers(part) for part in chunks(added, _BATCH)])
    there = numbers[numbers >= 0]
    if len(there) and not replace:
        raise DatasetError(
            f"{now.folder} already holds {len(there)} of the documents, e.g. {now.table.docnos(there[:1])[0]!r}; nothing was added: "
            "delete them first, or replace them"
        )
    return np.union1d(now.table.deleted, there)


def _part_shards(now: Snapshot) -> int:
    size: int = len(now.vectors) * now.vectors.dimension * now.vectors.dtype.itemsize
    return len(now.vectors.shards) - size // SHARD_BYTES


def _new_table(now: Snapshot) -> Path:
    folder = now.folder / f"documents-{next_generation(now):05d}"
    folder.mkdir()
    return folder


def _next_shard(now: Snapshot) -> int:
    return 1 + max(int(shard.file.removesuffix(".npy").rpartition("-")[2]) for shard in now.vectors.shards)
