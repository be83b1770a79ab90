"""How a change of an index takes effect: one process at a time, by a new manifest or a new folder."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.arrays import save_array
from ance_ir.files import (
    check_replaceable,
    flush_folder,
    naming,
    remove_leftovers,
    replace_folder,
    temporary_folder,
    write_json,
)
from ance_ir.indexes.store.snapshot import FORMAT, MANIFEST, Snapshot, faiss_folder, graphs_named, read_manifest
from ance_ir.indexes.store.table import FILES, checksums
from ance_ir.locks import held_lock


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[Snapshot]:
    """The index as it is, while no other process may change it; waits for one that is changing it."""
    with _alone(folder), naming(folder):
        now = Snapshot.open(folder)
        _clear(now.folder, now.manifest)
        yield now


@contextlib.contextmanager
def new_index(folder: Path) -> Iterator[Path]:
    """A new temporary folder, which replaces the index at the path in the end, or is removed if something fails.

    Raises:
        UsageError: there is something else at the path.
    """
    folder = folder.absolute()
    check_replaceable(folder, MANIFEST)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder) as temporary:
        yield temporary
        put_in_place(temporary, folder)


def put_in_place(source: Path, folder: Path) -> None:
    """Rename a new index to its place. An index that was there is lost, once no process is changing it."""
    if (folder / MANIFEST).exists():
        with _alone(folder):
            replace_folder(source, folder)
    else:
        replace_folder(source, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of an index: of the folder that has the index's name once the lock is held."""
    while True:
        read_manifest(folder)  # no lock in a folder that is no index
        with held_lock(folder / "lock", wait=True) as lock:
            if lock:
                yield
                return


def commit(now: Snapshot, changes: dict[str, Any], deleted: np.ndarray) -> None:
    """Write the manifest of a change, which makes it visible, then remove files that are no longer named."""
    generation = next_generation(now)
    manifest = {**now.manifest, **changes, "format": FORMAT, "generation": generation, "deleted": None}
    manifest.pop("documents_encoded", None)  # it described how the index was built
    if len(deleted):
        manifest["deleted"] = f"deleted-{generation:05d}.npy"
        save_array(now.folder / manifest["deleted"], deleted)
    if "tables" in changes:
        flush_folder(now.folder / changes["tables"])
    manifest["checksums"] = checksums(now.folder, manifest)
    write_json(now.folder / "manifest.json", manifest)
    _clear(now.folder, manifest)


def next_generation(now: Snapshot) -> int:
    """The number of the next manifest, by which new files are named."""
    return int(now.manifest.get("generation", 0)) + 1


def _clear(folder: Path, manifest: dict[str, Any]) -> None:
    """Remove files that the manifest does not name."""
    remove_leftovers(folder)
    named = {shard["file"] for shard in manifest["shards"]} | {manifest.get("tables", "."), manifest.get("deleted"), faiss_folder(manifest)}
    for pattern in ("vectors-*.npy", "deleted-*.npy", "documents-*", "faiss-*", "graph-*"):
        for path in folder.glob(pattern):
            kept = (
                path.name in named or path.name.startswith(graphs_named(manifest)) or path.suffix == ".lock"
            )  # who builds a graph holds it
            if not kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    if manifest.get("tables", ".") != ".":
        shutil.rmtree(folder / "docnos", ignore_errors=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
