"""Building a family's Faiss index over the stored vectors, and opening it.

``<slug>.json`` next to ``<slug>.index`` is written last and says that it is complete. The index is trained on a sample drawn uniformly over
all vectors, with a fixed seed, then filled block by block: the same vectors make the same index (except for a graph that several threads
fill; OMP_NUM_THREADS=1 fills it in order). Memory: the index itself, of an inverted file a piece of it (``filling``), and the training
sample or a block.
"""

from __future__ import annotations

import errno
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import faiss
import numpy as np

from ance_ir import __version__
from ance_ir.digests import digest_bytes
from ance_ir.errors import DamagedIndexError
from ance_ir.files import atomic_path, temporary_folder, write_json
from ance_ir.indexes.ann.files import read_faiss, write_faiss
from ance_ir.indexes.ann.filling import fill, join_pieces
from ance_ir.indexes.ann.layers import empty_index, layers, train
from ance_ir.indexes.ann.recipe import Recipe, recipe_of, training_rows
from ance_ir.indexes.ann.settings import FaissSettings
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.locks import held_lock
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

SEED = 42
"""Seed of the training sample; Faiss's own seeds are constants too."""

_TRIED, _ABOUT = 1_000, 1e-2
"""Rows whose lengths are measured, and how much one may differ from 1: vectors of bfloat16, stored in float16, differ slightly."""


class _Made(TypedDict):
    family: str
    rows: int
    build_seconds: float
    vectors: NotRequired[str | None]
    bytes: NotRequired[int]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaissFile:
    """A Faiss index, mapped or in memory.

    Attributes:
        index: Faiss's index of rows 0 … ``rows`` − 1 of the store.
        rows: how many vectors it holds.
        on_gpu: its copy on a GPU, or ``None``.
        seconds: the time that building took.
        size: bytes of the file.
    """

    index: Any
    rows: int
    on_gpu: Any
    seconds: float
    size: int


def faiss_paths(folder: Path, settings: FaissSettings) -> tuple[Path, Path]:
    """The Faiss file of a family, and the JSON file that describes it and says that it is complete."""
    return folder / f"{settings.slug}.index", folder / f"{settings.slug}.json"


def build_faiss(store: VectorStore, folder: Path, settings: FaissSettings, *, until: float = math.inf, verbose: bool = False) -> None:
    """Write the Faiss index of all vectors, whole or not at all; an existing one is replaced.

    Args:
        store: the vectors.
        folder: of the index's Faiss files.
        settings: the family.
        until: when it must be done, by ``time.monotonic``.
        verbose: show progress.

    Raises:
        IndexingError: there are too few vectors to train it, it would not be done in time, or the disk has no room for it; see ``fill``.
        UsageError: the family does not go with the vectors' dimension, or with inner products.
    """
    path, described = faiss_paths(folder, settings)
    began = time.perf_counter()
    with atomic_path(path) as temporary, temporary_folder(path) as scratch:
        index, pieces, made = _make(store, settings, scratch, until=until, verbose=verbose)
        if pieces:
            join_pieces(index, pieces, temporary)
        else:
            write_faiss(index, temporary)
        described.unlink(missing_ok=True)
    seconds = round(time.perf_counter() - began, 3)
    write_json(described, {**made, "build_seconds": seconds, "bytes": path.stat().st_size})


def _make(
    store: VectorStore, settings: FaissSettings, folder: Path | None, *, until: float, verbose: bool
) -> tuple[Any, list[Path], dict[str, Any]]:
    """A Faiss index of all vectors; its pieces, where a folder for them is given and it is large; and its description."""
    began = time.perf_counter()
    recipe = recipe_of(settings, len(store), store.dimension, unit=are_unit(store))
    logger.info("building %s (%s) over %d vectors", settings.family, recipe.factory, len(store))
    index = empty_index(recipe, store.dimension, settings)
    sample = 0 if index.is_trained else _train(index, store, recipe)
    trained = time.perf_counter()
    pieces = fill(index, store, folder, until=until, shown=f"building {settings.family}" if verbose else None)
    return (
        index,
        pieces,
        {
            "family": settings.family,
            "factory": recipe.factory,
            "first_dimensions": recipe.first,
            "normalized": recipe.normalize,
            "rows": len(store),
            "vectors": _checksum(store, len(store)),
            "dimension": store.dimension,
            "trained_on": sample,
            "train_seconds": round(trained - began, 3),
            "build_seconds": round(time.perf_counter() - began, 3),
            "faiss": faiss.__version__,
            "ance_ir": __version__,
        },
    )


def _train(index: Any, store: VectorStore, recipe: Recipe) -> int:
    """Train on rows drawn without replacement; returns how many."""
    lists = max((layer.nlist for layer in layers(index) if hasattr(layer, "nlist")), default=0)
    size = training_rows(len(store), store.dimension, lists)
    rows = np.sort(np.random.default_rng(SEED).choice(len(store), size, replace=False))
    train(index, store.get(rows), recipe)
    return size


def open_faiss(
    store: VectorStore,
    folder: Path,
    settings: FaissSettings,
    *,
    device: str = "cpu",
    until: float = math.inf,
    verbose: bool = False,
) -> FaissFile:
    """Read the Faiss index of a family, which is built first if it does not exist.

    Args:
        store: the vectors.
        folder: of the index's Faiss files.
        settings: the family.
        device: ``"cuda"`` or ``"cuda:N"`` to search on a GPU, where the Faiss that is installed can.
        until: when it must be built, by ``time.monotonic``.
        verbose: show progress while it is built.

    Raises:
        IndexingError: see ``build_faiss``.
        DamagedIndexError: Faiss cannot read it, or it holds other vectors.
    """
    path, described = faiss_paths(folder, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held_lock(folder / f"{settings.slug}.lock", wait=True):  # another process may be building it
            if not described.exists() or not _fits(store, *_read(path, described)):
                build_faiss(store, folder, settings, until=until, verbose=verbose)
            index, made = _read(path, described)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        index, made = _unwritten(store, folder, settings, error, until=until, verbose=verbose)
    rows, family, seconds = int(made["rows"]), made["family"], float(made["build_seconds"])
    if (family, index.ntotal, index.d) != (settings.family, rows, store.dimension) or rows > len(store):
        raise DamagedIndexError(
            f"{path}: expected at most {len(store)} vectors of {store.dimension} dimensions, found {index.ntotal} vectors of {index.d} "
            f"dimensions; open the index again if documents were added since, otherwise remove the file and {described.name}"
        )
    return FaissFile(index=index, rows=rows, on_gpu=_on_gpu(index, device), seconds=seconds, size=int(made["bytes"]))


UNWRITABLE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}
"""System errors of folders that cannot be written."""


def _fits(store: VectorStore, index: Any, made: dict[str, Any]) -> bool:
    """Whether it holds these vectors or the first of them, or was altered; false for vectors of an index that this one has replaced.

    Versions that did not write ``normalized`` cut unit vectors to their first dimensions and did not normalise them again.
    """
    if made.get("first_dimensions") is not None and "normalized" not in made and are_unit(store):
        return False
    like = index.d == store.dimension and index.ntotal == made["rows"] <= len(store)
    return not like or made.get("vectors") == _checksum(store, made["rows"])


def _unwritten(
    store: VectorStore, folder: Path, settings: FaissSettings, error: OSError, *, until: float, verbose: bool
) -> tuple[Any, dict[str, Any]]:
    """The Faiss index of a folder that is not writable: the existing one, else one built in memory."""
    path, described = faiss_paths(folder, settings)
    if described.exists():
        index, made = _read(path, described)
        if _fits(store, index, made):
            return index, made
    logger.warning(
        "%s cannot be written (%s), so %s is built in memory each time; build it once where the index is writable",
        *(path, error.strerror, settings.family),
    )
    index, _, made = _make(store, settings, None, until=until, verbose=verbose)
    return index, {**made, "bytes": faiss.serialize_index(index).nbytes}


def _read(path: Path, described: Path) -> tuple[Any, dict[str, Any]]:
    made: dict[str, Any] = read_typed(described, _Made, error=DamagedIndexError, remedy=f"remove it and {path.name}")
    try:
        size = path.stat().st_size
        if size != made.setdefault("bytes", size):  # what lies behind a mapped file's end would end the process
            raise ValueError(f"{size:,} bytes instead of {made['bytes']:,}")
        index = read_faiss(path, mapped=True)
    except (OSError, ValueError) as error:
        raise DamagedIndexError(f"{path}: Faiss cannot read it ({error}); remove it and {described.name}") from error
    return index, made


def are_unit(store: VectorStore) -> bool:
    """Whether the vectors have length 1, as those of a cosine model; judged by a thousand evenly spaced rows."""
    vectors = store.get(np.linspace(0, len(store) - 1, min(len(store), _TRIED)).astype(np.int64))
    return bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1) < _ABOUT))


def _checksum(store: VectorStore, rows: int) -> str | None:
    """A checksum of the shards that hold the first rows; ``None`` where no shard ends there."""
    ends = np.cumsum([0, *(shard.rows for shard in store.shards)])
    count = int(np.searchsorted(ends, rows))
    if ends[min(count, len(store.shards))] != rows:
        return None
    return digest_bytes([" ".join(shard.checksum for shard in store.shards[:count]).encode()])


def _on_gpu(index: Any, device: str) -> Any:
    """A copy on the GPU; ``None`` where there is no GPU, or where Faiss does not have the family on GPUs."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not faiss.get_num_gpus():
        return None
    try:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), int(number or 0), index)
    except RuntimeError as error:
        logger.warning("searched on the CPU, as Faiss does not move the index to a GPU: %s", error)
        return None
