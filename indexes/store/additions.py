"""Adding documents to an existing index: they are encoded in parts next to it, then added in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from ance_ir.choices import check_choice
from ance_ir.datasets import DocnoMap, Document, DocumentStore
from ance_ir.datasets.store.documents import text_hash
from ance_ir.errors import AnceError, DatasetError, IndexingError
from ance_ir.files import remove_leftovers, write_json
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.passages import parse_passages
from ance_ir.indexes.store import updates
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.rows import index_rows
from ance_ir.indexes.store.workspace import Workspace
from ance_ir.locks import held_lock
from ance_ir.models import DenseEncoder, Encoding
from ance_ir.models.compute.batching import chunks
from ance_ir.typed_json import read_typed

Existing = Literal["refuse", "keep", "replace"]

_BATCH = 4096
LOCK = "adding.lock"
_SIGN = "adding.json"
"""Written when all documents are encoded: the generation of the index to which they are added."""


def add_documents(
    index: AnceIndex, model: DenseEncoder, documents: Iterable[Document], *, existing: Existing = "refuse", verbose: bool = False
) -> int:
    """Encode documents as those of the index were, and add all or none; if interrupted, the same call resumes after the last complete part.

    The work is done in a folder next to the index (``x.ance.adding``).

    Args:
        index: the index.
        model: the model that the index was built with.
        documents: with ``docno`` and ``text`` (``title``, ``url``).
        existing: for documents that the index holds: ``"refuse"`` adds nothing at all, ``"keep"`` leaves them as they are, ``"replace"``
            encodes again those whose texts are not known to be the same.
        verbose: show progress.

    Returns:
        How many documents were added or replaced.

    Raises:
        DatasetError: documents that the index holds, with ``existing="refuse"``; a docno that occurs twice.
        FingerprintError: another model.
        IndexingError: the index has no record of how its documents were cut, or another process is adding documents.
    """
    check_choice("treatment of existing documents", existing, get_args(Existing))
    made = index.manifest["encoding"]
    if made is None or made["passages"] is None:
        raise IndexingError(f"{index.folder} has no record of how its documents were cut; encode documents and use AnceIndex.add")
    index.check_model(model)
    with held_lock(index.folder / LOCK) as ours:
        if not ours:
            raise IndexingError(f"another process is adding documents to {index.folder}; wait until it has finished")
        return _add(index, model, documents, existing, verbose=verbose)


def _add(index: AnceIndex, model: DenseEncoder, documents: Iterable[Document], existing: Existing, *, verbose: bool) -> int:
    space = Workspace(index.folder, "adding")
    space.begin()
    remove_leftovers(index.folder)
    added = _added(index, space)
    passages = parse_passages(index.manifest["encoding"]["passages"])
    try:
        store = DocumentStore.build(_new(index, documents, existing, added), space.documents, verbose=verbose)
    except _NothingNewError:
        space.remove()
        return 0
    except AnceError:
        if not space.index.exists() and not (space.folder / _SIGN).exists():  # no earlier call has left work
            space.remove()
        raise
    part = CorpusEncoding(space.index, store, model, passages, dtype=index.vectors.dtype.name, verbose=verbose).lead()
    encoding = Encoding.of(model, str(passages))
    rows: Iterator[dict[str, Any]] = (
        {"docno": docno, "doc_vec": vector, "encoding": encoding}
        for docnos, vectors in index_rows(part, passages=True)
        for docno, vector in zip(docnos, vectors, strict=True)
    )
    write_json(space.folder / _SIGN, {"generation": index.manifest.get("generation", 0)})
    updates.add(index.folder, rows, replace=existing == "replace", text_hashes=store.text_hashes)
    index.reopen()
    space.remove()
    return len(store)


class _Sign(TypedDict):
    generation: int


class _NothingNewError(Exception):
    """There is no document to add."""


def _added(index: AnceIndex, space: Workspace) -> DocnoMap | None:
    """The documents that a call added that was killed before it could clean up; None if there was none."""
    sign = space.folder / _SIGN
    if not sign.exists():
        return None
    before = read_typed(sign, _Sign, error=IndexingError, remedy=f"remove {space.folder}")["generation"]
    if before >= index.manifest.get("generation", 0):
        return None
    return DocumentStore(space.documents).docno_map.open()


def _new(index: AnceIndex, documents: Iterable[Document], existing: Existing, added: DocnoMap | None) -> Iterator[Document]:
    """The documents to add."""
    any_new = False
    for batch in chunks(documents, _BATCH):
        numbers = index.numbers([str(document.get("docno")) for document in batch])  # rows that are no documents are refused later
        if added is not None:
            done = (added.numbers([str(document.get("docno")) for document in batch]) >= 0) & (numbers >= 0)
            batch, numbers = [document for document, ours in zip(batch, done, strict=True) if not ours], numbers[~done]
        there = numbers >= 0
        if existing == "refuse" and there.any():
            raise DatasetError(
                f"{index.folder} already holds {batch[int(np.argmax(there))]['docno']!r}; nothing was added: "
                "keep existing documents, or replace them (--existing keep, --existing replace)"
            )
        for document, number in zip(batch, numbers.tolist(), strict=True):
            if number < 0 or (existing == "replace" and _changed(index, number, document)):
                any_new = True
                yield document
    if not any_new:
        raise _NothingNewError


def _changed(index: AnceIndex, number: int, document: Document) -> bool:
    """Whether a document's text may differ from the one that the index has encoded; urls are not hashed."""
    hashes = index.table.text_hashes
    if hashes is None or "url" in index.manifest["encoding"]["text"]["fields"]:
        return True
    return bool(hashes[number] != text_hash(document))
