"""A bare Hugging Face encoder: BERT, RoBERTa, DistilBERT, MPNet, ModernBERT and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ance_ir.models.layouts.opened import Opened, longest
from ance_ir.models.randomness import seeded
from ance_ir.models.text import TextSettings
from ance_ir.models.tower import Head, Tower
from ance_ir.models.weights import build_backbone, load_config, load_tokenizer


def open_backbone(folder: Path, weights: Mapping[str, Tensor], *, head: bool, seed: int) -> Opened:
    """Read the folder.

    Args:
        folder: with configuration and tokeniser.
        weights: the backbone's; heads of other tasks are left out.
        head: put a fresh head of the paper's models on it, over position 0; without it, mean pooling and cosine.
        seed: of the fresh head.
    """
    backbone, unused = build_backbone(load_config(folder), weights, str(folder))
    if head:
        with seeded(seed):
            width = int(backbone.config.hidden_size)
            tower = Tower(backbone, pooling="cls", head=Head(width, width).to(backbone.dtype))
    else:
        tower = Tower(backbone, pooling="mean", normalize=True)
    tokenizer = load_tokenizer(folder, backbone.config)
    most = min(longest(tokenizer, tower), 512)
    return Opened(
        layout="backbone with a fresh head" if head else "backbone",
        query=tower,
        tokenizer=tokenizer,
        text=TextSettings(passage_length=most, query_length=min(64, most)),
        text_from="this package; a backbone has none of its own",
        unused=unused,
    )
