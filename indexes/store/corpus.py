"""The encoding of a corpus in parts, by any number of processes that see the same folder.

A process takes the next free part (by a lock that ends with its process), encodes it and writes it whole; a complete part is never encoded
again. So interrupted work resumes after the last complete part, and the result does not depend on which process did what::

    x.ance/corpus.json           the corpus, the model and the settings; written first
    x.ance/part-00003.lock       held by the process that encodes the part
    x.ance/vectors-00003.npy     the part's vectors, written as they are encoded
    x.ance/counts-00003.npy      int64, how many passages each of its documents has
    x.ance/part-00003.json       says that the part is complete

The process that leads writes the index around the parts: manifest, docnos, offsets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from tqdm.auto import tqdm

from ance_ir.arrays import growing_array, map_array, save_array
from ance_ir.datasets import DocumentStore
from ance_ir.errors import IndexingError
from ance_ir.files import atomic_folder, read_json, remove_leftovers, write_json
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.indexes.store.snapshot import MANIFEST, write_manifest
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import Shard, VectorType, checked_vectors
from ance_ir.locks import held_lock
from ance_ir.models import DenseEncoder, Encoding, PassageScheme
from ance_ir.models.dense.encoding import Blocks, gather, tokenized
from ance_ir.models.dense.workers import Workers
from ance_ir.typed_json import read_typed

PARTS, LEAST, MOST = 16, 256, 8192
"""Parts of a corpus, and the least and the most documents of a part …"""

MOST_PARTS = 256
"""… but never more parts than this: each is a shard, a file that is mapped whenever the index is open."""

RUN = 512
"""Documents that are looked up together in an index whose vectors are reused."""

POLL = 0.05
"""Seconds between two looks at the work of other processes."""

logger = logging.getLogger(__name__)


class _Part(TypedDict):
    shard: Shard
    largest_norm: float
    encoded: int


class CorpusEncoding:
    """Encodes all documents of a store into an index.

    Args:
        folder: the index's.
        store: the corpus; its numbers are the index's.
        model: the encoder.
        passages: how documents are cut.
        dtype: how vectors are stored.
        reuse: an index whose vectors are reused for unchanged documents.
        workers: processes that read and tokenise; by default a thread does.
        verbose: show progress.

    Raises:
        UsageError: a negative number of processes.
    """

    def __init__(
        self,
        folder: Path,
        store: DocumentStore,
        model: DenseEncoder,
        passages: PassageScheme,
        *,
        dtype: VectorType = "float32",
        reuse: AnceIndex | None = None,
        workers: int = 0,
        verbose: bool = False,
    ) -> None:
        self.folder = folder
        self._store = store
        self._model = model
        self._encoding = Encoding.of(model, str(passages))
        self._dtype = np.dtype(dtype)
        self._size = max(min(MOST, max(LEAST, -(-len(store) // PARTS))), -(-len(store) // MOST_PARTS))
        self._parts = -(-len(store) // self._size)
        made_by = {name: getattr(self._encoding, name) for name in ("fingerprint", "passage_fingerprint", "passages", "precision")}
        self.description = {**made_by, "dtype": dtype, "corpus": store.fingerprint, "size": self._size}
        """Corpus, model and settings, as ``corpus.json`` holds them."""
        self._reuse = Reuse(reuse, self._encoding) if reuse is not None else None
        self._cut = Cutting(store=store, tokenizer=model.tokenizer, passages=passages)
        self._workers = Workers(self._cut, workers) if workers else None
        self._verbose = verbose
        self._bar = tqdm(disable=True)
        self.encoded = 0
        """Documents encoded by all processes; known once the index is written."""

    def begin(self) -> None:
        """Write ``corpus.json``, unless work on the same has begun; work on anything else is removed."""
        if not self._begun():
            if parts := len(list(self.folder.glob("part-*.json"))):
                logger.warning(
                    "%s: the %d parts encoded there belong to another collection, model or setting and are removed", self.folder, parts
                )
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(self.folder / "corpus.json", self.description)
        remove_leftovers(self.folder)

    def help(self) -> None:
        """Encode free parts, if the work has begun and is the same."""
        if self._begun() and not self.built():
            with self._workers or contextlib.nullcontext():
                for part in range(self._parts):
                    self._take(part)

    def lead(self) -> AnceIndex:
        """Encode, wait for parts that others encode, and write the index; an index that is complete is opened.

        Raises:
            IndexingError: a vector is not finite, or the folder was removed in the meantime.
        """
        index = AnceIndex(self.folder)
        if self.built():
            self._tidy()
            ours = index.manifest["encoding"]["fingerprint"] == self._encoding.fingerprint
            self.encoded = index.manifest["documents_encoded"] if ours else 0
            return index
        self.begin()
        total = len(self._store)
        bar = tqdm(total=total, desc="encoding", unit=" documents", disable=not self._verbose)
        with bar as self._bar, self._workers or contextlib.nullcontext():
            while missing := [part for part in range(self._parts) if not self._complete(part)]:
                self._bar.update(total - sum(len(self._documents(part)) for part in missing) - self._bar.n)
                if not sum(self._take(part) for part in missing):
                    time.sleep(POLL)
                    if not self._begun():
                        raise IndexingError(f"{self.folder} was removed while the corpus was encoded")
            self._bar.update(total - self._bar.n)
        self._finish()
        return AnceIndex(self.folder)

    def adopt(self, folder: Path) -> bool:
        """Take over a complete index of the same vectors, such as that of a model with another query tower: its files get a second name.

        Args:
            folder: of the index; need not exist.

        Returns:
            Whether it is here now.
        """
        if self._begun() or not (self._same_work(folder) and AnceIndex(folder).built()):
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        with atomic_folder(self.folder, MANIFEST) as ours:
            shutil.copytree(folder, ours, copy_function=_linked, dirs_exist_ok=True)
        return True

    def _begun(self) -> bool:
        return self._same_work(self.folder)

    def _same_work(self, folder: Path) -> bool:
        """Whether the vectors in a folder, or those that are begun there, are of this corpus, model and settings."""
        path = folder / "corpus.json"
        if not path.exists():
            return False
        there, of_model = read_json(path), ("fingerprint", "passage_fingerprint")
        same = all(there.get(name) == value for name, value in self.description.items() if name not in of_model)
        return same and self._encoding.same_model(there)

    def _documents(self, part: int) -> range:
        return range(part * self._size, min((part + 1) * self._size, len(self._store)))

    def _complete(self, part: int) -> bool:
        return (self.folder / f"part-{part:05d}.json").exists()

    def _take(self, part: int) -> bool:
        """Encode a part unless it is complete or another process has it; returns whether it was encoded here."""
        if self._complete(part):
            return False
        with contextlib.ExitStack() as stack:
            try:
                ours = stack.enter_context(held_lock(self.folder / f"part-{part:05d}.lock"))
            except FileNotFoundError:  # the work was abandoned in the meantime
                return False
            # in this order: the files that mark complete parts are removed only once there is a manifest
            if not ours or self._complete(part) or AnceIndex(self.folder).built() or not self._begun():
                return False
            self._encode(part)
            return True

    def _encode(self, part: int) -> None:
        path = self.folder / f"vectors-{part:05d}.npy"
        counts: list[np.ndarray] = []
        largest, encoded = 0.0, 0
        blocks = self._blocks(self._documents(part))
        with contextlib.closing(blocks), growing_array(path, self._model.dimension, self._dtype) as append:
            for block_PD, block_counts, block_encoded in blocks:
                first = self._documents(part).start + sum(len(before) for before in counts)
                vectors_PD, norm = checked_vectors(block_PD, self._dtype, partial(self._docno, first, np.cumsum(block_counts)))
                append(vectors_PD)
                counts.append(block_counts)
                largest, encoded = max(largest, norm), encoded + block_encoded
                self._bar.update(len(block_counts))
        passages = np.concatenate(counts)
        save_array(self.folder / f"counts-{part:05d}.npy", passages)
        shard = Shard.of(path, int(passages.sum()))
        summary = {"shard": dataclasses.asdict(shard), "largest_norm": largest, "encoded": encoded}
        write_json(self.folder / f"part-{part:05d}.json", summary)

    def _docno(self, first: int, ends: np.ndarray, row: int) -> str:
        """The docno of a row of a block; ``first`` is the block's first document, ``ends`` are the ends of its documents."""
        return str(self._store[first + int(np.searchsorted(ends, row, "right"))]["docno"])

    def _blocks(self, numbers: range) -> Generator[tuple[np.ndarray, np.ndarray, int]]:
        """Blocks of consecutive documents: vectors ``[passages, D]``, int64 counts of passages, and how many documents were encoded."""
        if self._reuse is None:
            with contextlib.closing(self._encoded(np.arange(numbers.start, numbers.stop))) as blocks:
                yield from ((vectors_PD, counts, len(counts)) for vectors_PD, counts in blocks)
        else:
            for first in range(numbers.start, numbers.stop, RUN):
                run = np.arange(first, min(first + RUN, numbers.stop))
                hashes, encode = self._store.text_hashes[run], partial(self._gathered, first)
                yield self._reuse.complete(self._store.docnos(run).tolist(), hashes, encode)

    def _gathered(self, first: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors and counts of documents, by their places after a first one."""
        return gather(self._encoded(first + places), self._model.dimension)

    def _encoded(self, numbers: np.ndarray) -> Blocks:
        pieces, device = self._cut.pieces(numbers), self._model.device
        tokens = tokenized(pieces, self._cut, device) if self._workers is None else self._workers.tokenized(pieces, device)
        return self._model.encode_tokens(tokens)

    def _finish(self) -> None:
        remedy = f"remove {self.folder} and start again"
        paths = [self.folder / f"part-{part:05d}.json" for part in range(self._parts)]
        parts = [read_typed(path, _Part, error=IndexingError, remedy=remedy) for path in paths]
        self.encoded = sum(part["encoded"] for part in parts)
        sizes = ((self.folder / f"counts-{part:05d}.npy", len(self._documents(part))) for part in range(self._parts))
        counts = np.concatenate([map_array(path, "int64", (size,), error=IndexingError, remedy=remedy) for path, size in sizes])
        offsets = np.append(0, np.cumsum(counts))
        self._store.docno_map.copy(self.folder / "docnos")
        DocumentTable.write(self.folder, offsets, self._store.text_hashes)
        write_json(self.folder / "pt_meta.json", AnceIndex(self.folder)._build_metadata())
        manifest: dict[str, Any] = {
            "encoding": dataclasses.asdict(self._encoding),
            "documents": len(self._store),
            "documents_encoded": self.encoded,
            "most_passages": int(counts.max()),
            "dimension": self._model.dimension,
            "dtype": self._dtype.name,
            "vectors": int(offsets[-1]),
            "largest_norm": max(part["largest_norm"] for part in parts),
            "shards": [part["shard"] for part in parts],
        }
        write_manifest(self.folder, manifest)
        self._tidy()

    def _tidy(self) -> None:
        """Remove the files that only an unfinished index needs."""
        for pattern in ("part-*.json", "part-*.lock", "counts-*.npy"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def built(self) -> bool:
        """Whether the index is complete."""
        return self._begun() and AnceIndex(self.folder).built()


def _linked(source: str, target: str) -> None:
    """Give a file, which is only ever replaced, a second name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
