"""ANCE, as Microsoft and castorini publish it: LayerNorm(Linear(position 0)) over a RoBERTa (paper, section 4).

Microsoft's names are ``roberta.*``, ``embeddingHead.*``, ``norm.*``; castorini's the same after ``ance_encoder.``. FirstP and MaxP
models have one layout; they differ in the text settings and in how a document is cut.
"""

from __future__ import annotations

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout, longest
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings

_PREFIX = "ance_encoder."
_HEAD = {
    "embeddingHead.weight": "linear.weight",
    "embeddingHead.bias": "linear.bias",
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
}


def _recognises(files: Files) -> bool:
    """By the head; many a bare backbone has a ``norm.*`` at the top."""
    return files.has("config.json") and any(name.removeprefix(_PREFIX).startswith("embeddingHead.") for name in files.weights)


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    folder = files.path
    weights = {name.removeprefix(_PREFIX): tensor for name, tensor in files.weights.items()}
    missing = sorted(_HEAD.keys() - weights.keys())
    if missing:
        raise ModelError(f"{folder}: the head's {', '.join(missing)} are not in the file")
    dimension, width = weights["embeddingHead.weight"].shape
    head = Head(width, dimension)
    head.load_state_dict({ours: weights[theirs] for theirs, ours in _HEAD.items()})
    rest = {name: tensor for name, tensor in weights.items() if name not in _HEAD}
    config = load_config(folder, "roberta")
    tokenizer = load_tokenizer(folder, config)
    backbone, unused = build_backbone(config, rest, str(folder))
    tower = Tower(backbone, pooling="cls", head=head.to(backbone.dtype))
    most = longest(tokenizer, tower)
    return DenseCheckpoint(
        layout="ANCE",
        query=tower,
        tokenizer=tokenizer,
        settings=TextSettings(query_length=min(64, most), passage_length=min(512, most), lower_case=True),
        settings_from="what ANCE's passage models were trained with; the files do not say",
        unused=unused,
    )


LAYOUT = Layout(
    sign="weights named embeddingHead.*, with or without ance_encoder. before them", order=6, recognises=_recognises, open=_open
)
