"""What a path holds, by its small files."""

from __future__ import annotations

from pathlib import Path

from ance_ir.files import read_json
from ance_ir.indexes.store.snapshot import ARTIFACT, DOCNOS, MANIFEST
from ance_ir.models.loading.family import ADAPTER, Family, family_of
from ance_ir.models.loading.source import resolve

_ADDRESSES = ("http:/", "https:/")
"""A path has one slash where an address has two."""


def is_address(path: Path) -> bool:
    """Whether a path is the address of a server."""
    return str(path).startswith(_ADDRESSES)


def is_index(path: Path) -> bool:
    """Whether a path is the folder of an index of ours."""
    return (path / MANIFEST).exists() and ((path / ARTIFACT).exists() or (path / DOCNOS).is_dir())


def artifact_of(path: Path) -> str | None:
    """The type of the index in a folder, as PyTerrier's artifacts have it: ``dense_index``; ``None`` if it is no artifact of ours."""
    if not is_index(path) or not (path / ARTIFACT).exists():
        return None
    described = read_json(path / ARTIFACT)
    return str(described.get("type")) if isinstance(described, dict) else None


def model_in(path: Path) -> Family | None:
    """The family of the model in a folder; of one that does not say it, ``"reranker"``. ``None`` where there is no model.

    Raises:
        ModelError: a training run that is not finished, or a file that is not JSON.
    """
    if is_address(path) or is_index(path) or not path.is_dir():
        return None
    folder = resolve(str(path))
    named = family_of(folder)
    if named is None and ((folder / "config.json").exists() or (folder / ADAPTER).exists()):
        return "reranker"
    return named
