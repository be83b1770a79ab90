"""What a checkpoint folder holds, as far as its small files say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ance_ir.models.cross_checkpoint import is_cross_encoder
from ance_ir.models.reader_checkpoint import is_reader

ModelKind = Literal["encoder", "reranker", "reader"]


def model_kind(folder: Path) -> ModelKind | None:
    """What a folder says of itself; ``None`` where it says nothing, as that of a bare backbone."""
    if is_cross_encoder(folder):
        return "reranker"
    if is_reader(folder):
        return "reader"
    modules = folder / "modules.json"
    if (folder / "ance_ir.json").exists() or (modules.exists() and "Pooling" in modules.read_text(encoding="utf-8", errors="replace")):
        return "encoder"
    return None
