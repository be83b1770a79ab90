"""A model of any family, by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.models.cross.model import CrossEncoder
from ance_ir.models.cross.published import PUBLISHED
from ance_ir.models.dense.checkpoint import split_name
from ance_ir.models.dense.model import DenseEncoder
from ance_ir.models.loading.family import Family, family_of
from ance_ir.models.loading.source import bare_name, resolve
from ance_ir.models.reader.model import Reader
from ance_ir.models.reader.rag import RagToken

Model = DenseEncoder | CrossEncoder | Reader | RagToken

_CLASSES: dict[Family, type[Model]] = {"encoder": DenseEncoder, "reranker": CrossEncoder, "reader": Reader, "RAG model": RagToken}


def find_family(name: str | Path) -> Family:
    """Which family a checkpoint is of. One that does not say it, such as a bare backbone, counts as a dense encoder.
    (As a stage of a system it would be a reranker: see ``ance_ir.pipelines.systems.folders``.)

    Args:
        name: see ``open``.

    Raises:
        ModelError: it is nowhere, or a file of it is damaged.
    """
    if len(split_name(str(name))) > 1:
        return "encoder"  # towers that are published apart
    if bare_name(str(name)) in PUBLISHED:
        return "reranker"
    path = resolve(str(name))
    return (family_of(path) if path.is_dir() else None) or "encoder"


def open(name: str | Path, **options: Any) -> Model:
    """Open a model of any family: a dense encoder, a reranker, a reader or a RAG model.

    Args:
        name: a folder, a training run's folder, a DPR file, a hub name, or two with a comma between them for towers that are published
            apart.
        **options: of ``from_pretrained`` of its class: ``device`` and settings for all.

    Raises:
        ModelError: it is nowhere, does not load, or is a sparse or multi-vector encoder, which sentence-transformers computes.
        UsageError: an option that its class does not have.
    """
    family = find_family(name)
    if family not in _CLASSES:
        raise ModelError(f"{name} is a {family}, which only a pipeline uses: see SparseEncoder and MultiVectorEncoder")
    return _CLASSES[family].from_pretrained(name, **options)
