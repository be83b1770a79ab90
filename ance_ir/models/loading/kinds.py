"""What a checkpoint folder holds, as far as its small files say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ance_ir.models.cross.checkpoint import is_cross_encoder
from ance_ir.models.loading.weight_files import pools
from ance_ir.models.reader.checkpoint import is_reader

ModelKind = Literal["encoder", "reranker", "reader"]


def model_kind(folder: Path) -> ModelKind | None:
    """What a folder says of itself; ``None`` where it says nothing, as that of a bare backbone."""
    if is_cross_encoder(folder):
        return "reranker"
    if is_reader(folder):
        return "reader"
    return "encoder" if (folder / "ance_ir.json").exists() or pools(folder) else None
