"""A bare Hugging Face encoder: BERT, RoBERTa, DistilBERT, MPNet, ModernBERT and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ance_ir.models.compute.randomness import seeded
from ance_ir.models.dense.layout import Opened, Similarity, longest
from ance_ir.models.dense.tower import Head, Pooling, Tower
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings


def open_backbone(
    folder: Path,
    weights: Mapping[str, Tensor],
    *,
    head: bool,
    seed: int,
    pooling: Pooling | None = None,
    similarity: Similarity | None = None,
) -> Opened:
    """Read the folder.

    Args:
        folder: with configuration and tokeniser.
        weights: the backbone's; heads of other tasks are left out.
        head: put a fresh head of the paper's models on it, over position 0.
        seed: of the fresh head.
        pooling: without a head; mean where nothing says it.
        similarity: without a head; cosine where nothing says it.
    """
    backbone, unused = build_backbone(load_config(folder), weights, str(folder))
    assumed: list[str] = []
    if head:
        with seeded(seed):
            width = int(backbone.config.hidden_size)
            tower = Tower(backbone, pooling="cls", head=Head(width, width).to(backbone.dtype))
    else:
        tower = Tower(backbone, pooling=pooling or "mean", normalize=similarity != "dot")
        assumed = [*(["mean pooling"] if pooling is None else []), *(["cosine similarity"] if similarity is None else [])]
    tokenizer = load_tokenizer(folder, backbone.config)
    most = min(longest(tokenizer, tower), 512)
    return Opened(
        layout="backbone with a fresh head" if head else "backbone",
        query=tower,
        tokenizer=tokenizer,
        text=TextSettings(passage_length=most, query_length=min(64, most)),
        text_from="this package; a backbone has none of its own",
        unused=unused,
        assumed=tuple(assumed),
    )
