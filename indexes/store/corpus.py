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
import copy
import dataclasses
import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ance_ir.arrays import map_array
from ance_ir.datasets import DocumentStore
from ance_ir.errors import IndexingError
from ance_ir.files import atomic_folder, linked_copy, read_json, remove_leftovers, write_json
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.indexes.store.parts import Blocks, Part, claimed_parts, write_part
from ance_ir.indexes.store.reuse import Reuse
from ance_ir.indexes.store.snapshot import MANIFEST, write_manifest
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import VectorType
from ance_ir.locks import held_lock
from ance_ir.models import DenseEncoder, Encoding, PassageScheme
from ance_ir.models.dense.encoding import gather, tokenized
from ance_ir.models.dense.workers import Workers, workers_for
from ance_ir.models.text.tokens import Tokens
from ance_ir.progress import Progress, Told
from ance_ir.typed_json import read_typed

PARTS, LEAST, LEAST_BYTES, MOST = 16, 256, 1 << 20, 8192
"""Parts of a corpus; the least documents of a part, or fewer that have so many bytes: their work may be lost; and the most …"""

MOST_PARTS = 256
"""… but never more parts than this: each is a shard, a file that is mapped whenever the index is open."""

POLL = 0.2
"""Seconds between two looks at the work of other processes."""

logger = logging.getLogger(__name__)


class CorpusEncoding:
    """Encodes all documents of a store into an index. Pickled, the work goes on in any process that sees the same folders.

    Args:
        folder: the index's.
        store: the corpus; its numbers are the index's.
        model: the encoder.
        passages: how documents are cut.
        dtype: how vectors are stored.
        reuse: an index whose vectors are reused for unchanged documents.
        workers: processes that read and tokenise, as many as ``workers_for`` says for ``None``; by default a thread does. Processes import
            the main module, which must bear that.
        verbose: show progress.
        told: is told the progress.

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
        workers: int | None = 0,
        verbose: bool = False,
        told: Told | None = None,
    ) -> None:
        self.folder = folder
        self._store = store
        self._model = model
        self._encoding = Encoding.of(model, str(passages))
        self._dtype = np.dtype(dtype)
        least = min(LEAST, max(1, LEAST_BYTES * len(store) // store.byte_count))
        self._size = max(min(MOST, max(least, -(-len(store) // PARTS))), -(-len(store) // MOST_PARTS))
        self._parts = -(-len(store) // self._size)
        made_by = {name: getattr(self._encoding, name) for name in ("fingerprint", "passage_fingerprint", "passages", "precision")}
        self.description = {**made_by, "dtype": dtype, "corpus": store.fingerprint, "size": self._size}
        """Corpus, model and settings, as ``corpus.json`` holds them."""
        self._reuse = Reuse(reuse, self._encoding) if reuse is not None else None
        self._cut = Cutting(store=store, tokenizer=model.tokenizer, passages=passages)
        workers = workers_for(model.device, len(store)) if workers is None else workers
        self._workers = Workers(self._cut, workers) if workers else None
        self._verbose, self._told, self._progress = verbose, told, Progress()
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
            self.take(range(self._parts))

    def take(self, parts: Iterable[int]) -> int:
        """Encode those of some parts that are neither complete nor in another process's hands; returns how many."""
        taken = 0
        with self._workers or contextlib.nullcontext(), contextlib.closing(self._encoded(parts)) as encoded:
            for part, blocks in encoded:
                try:
                    self._write(part, blocks)
                except FileNotFoundError:
                    if self._begun():
                        raise
                    break  # the work was abandoned in the meantime
                taken += 1
        return taken

    def lead(self, encode: Callable[[list[int]], int] | None = None) -> AnceIndex:
        """Encode, wait for parts that others encode, and write the index; an index that is complete is opened.

        Args:
            encode: encodes some or all of the parts it is given, wherever that is, and returns how many; by default ``take``.

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
        encode, total = encode or self.take, len(self._store)
        with Progress(total, "encoding", "documents", shown=self._verbose, told=self._told) as self._progress:
            while missing := [part for part in range(self._parts) if not self._complete(part)]:
                self._progress.update(total - sum(len(self._documents(part)) for part in missing) - self._progress.done)
                if not encode(missing):
                    time.sleep(POLL)
                    if not self._begun():
                        raise IndexingError(f"{self.folder} was removed while the corpus was encoded")
            self._progress.update(total - self._progress.done)
        self._finish()
        return AnceIndex(self.folder)

    def adopt(self, folder: Path) -> bool:
        """Take over a complete index of the same vectors, such as that of a model with another query tower: its files get a second name,
        and it is said to be of this model.

        Args:
            folder: of the index; need not exist.

        Returns:
            Whether it is here now.
        """
        if self._begun() or not (self._same_work(folder) and AnceIndex(folder).built()):
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        with atomic_folder(self.folder, MANIFEST) as ours:
            shutil.copytree(folder, ours, copy_function=linked_copy, dirs_exist_ok=True)
            write_json(ours / "corpus.json", self.description)
            of_model = {"encoding": dataclasses.asdict(self._encoding), "documents_encoded": 0}
            write_json(ours / MANIFEST, {**read_json(ours / MANIFEST), **of_model})
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

    def _claim(self, part: int) -> contextlib.ExitStack | None:
        """The lock of a part; ``None`` where it is complete or another process has it."""
        if self._complete(part):
            return None
        with contextlib.ExitStack() as stack:
            try:
                ours = stack.enter_context(held_lock(self.folder / f"part-{part:05d}.lock"))
            except FileNotFoundError:  # the work was abandoned in the meantime
                return None
            # in this order: the files that mark complete parts are removed only once there is a manifest
            if not ours or self._complete(part) or AnceIndex(self.folder).built() or not self._begun():
                return None
            return stack.pop_all()

    def _write(self, part: int, blocks: Blocks) -> None:
        first, form = self._documents(part).start, (self._model.dimension, self._dtype)
        write_part(self.folder, part, first, blocks, *form, lambda number: str(self._store.docnos(number)), self._progress.update)

    def _encoded(self, parts: Iterable[int]) -> Generator[tuple[int, Blocks]]:
        """Those of the parts that are free, each with its vectors."""
        if self._reuse is None:
            claims = claimed_parts(parts, self._claim, lambda part: self._cut.pieces(_array(self._documents(part))), self._tokens)
            with contextlib.closing(claims):
                for part, tokens in claims:
                    yield part, ((vectors_PD, counts, len(counts)) for vectors_PD, counts in self._model.encode_tokens(tokens))
            return
        for part in parts:
            if (lock := self._claim(part)) is not None:
                with lock:
                    yield part, self._reuse.blocks(self._store, _array(self._documents(part)), self._vectors)

    def _vectors(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of documents and how many passages each has."""
        return gather(self._model.encode_tokens(self._tokens(self._cut.pieces(numbers))), self._model.dimension)

    def _tokens(self, pieces: Iterator[np.ndarray]) -> Generator[Tokens]:
        device = self._model.device
        return tokenized(pieces, self._cut, device) if self._workers is None else self._workers.tokenized(pieces, device)

    def _finish(self) -> None:
        remedy = f"remove {self.folder} and start again"
        paths = [self.folder / f"part-{part:05d}.json" for part in range(self._parts)]
        parts = [read_typed(path, Part, error=IndexingError, remedy=remedy) for path in paths]
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

    def __getstate__(self) -> dict[str, Any]:
        """For a process elsewhere: without the progress, and with the model in main memory."""
        model = self._model if self._model.device.type == "cpu" else copy.deepcopy(self._model).to("cpu")
        return {**self.__dict__, "folder": self.folder.absolute(), "_model": model, "_told": None, "_progress": Progress()}

    def to(self, device: str | torch.device) -> None:
        """Compute on another device."""
        self._model = self._model.to(device)

    def unseen(self) -> Path | None:
        """A folder of the work that is not here, or not the same, in a process elsewhere; ``None`` where all are."""
        documents = DocumentStore.is_complete(self._store.folder) and self._store.fingerprint == self.description["corpus"]
        seen = {self.folder: self._begun(), self._store.folder: documents}
        seen |= {self._reuse.index.folder: self._reuse.index.built()} if self._reuse is not None else {}
        return next((folder for folder, whole in seen.items() if not whole), None)


def _array(numbers: range) -> np.ndarray:
    return np.arange(numbers.start, numbers.stop)
