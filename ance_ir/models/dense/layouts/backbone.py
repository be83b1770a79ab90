"""A bare Hugging Face backbone: BERT, ModernBERT and their kin, decoders such as Qwen3, the encoder of T5."""

from __future__ import annotations

from ance_ir.models.compute.randomness import seeded
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout, longest
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings


def open_backbone(files: Files, choices: Choices) -> DenseCheckpoint:
    """With a fresh head of the paper's models over position 0, or with the pooling and similarity chosen, by default mean and cosine.

    Heads of other tasks are left out.
    """
    folder = files.path
    config = load_config(folder)
    tokenizer = load_tokenizer(folder, config)
    backbone, unused = build_backbone(config, files.weights, str(folder))
    assumed: list[str] = []
    if choices.fresh_head:
        with seeded(choices.seed):
            width = int(backbone.config.hidden_size)
            tower = Tower(backbone, pooling="cls", head=Head(width, width).to(backbone.dtype))
    else:
        tower = Tower(backbone, pooling=choices.pooling or "mean", normalize=choices.similarity != "dot")
        assumed = [
            *(["mean pooling"] if choices.pooling is None else []),
            *(["cosine similarity"] if choices.similarity is None else []),
        ]
    most = min(longest(tokenizer, tower), 512)
    return DenseCheckpoint(
        layout="backbone with a fresh head" if choices.fresh_head else "backbone",
        query=tower,
        tokenizer=tokenizer,
        settings=TextSettings(passage_length=most, query_length=min(64, most)),
        settings_from="this package; a backbone has none of its own",
        unused=unused,
        assumed=tuple(assumed),
        fresh_head=choices.fresh_head is not None,
    )


LAYOUT = Layout(
    sign="config.json, and none of the others",
    order=7,
    recognises=lambda files: files.has("config.json"),
    open=open_backbone,
)
