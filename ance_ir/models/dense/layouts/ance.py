"""Microsoft's and castorini's ANCE folders: a RoBERTa, ``embeddingHead`` and ``norm`` (paper, section 4).

Microsoft's names are ``roberta.*``, ``embeddingHead.*``, ``norm.*``; castorini's the same after ``ance_encoder.``. FirstP and MaxP
models have one layout; they differ in the text settings and in how a document is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Opened, longest
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


def is_ance(weights: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of this layout; a ``norm.*`` at the top has many a bare backbone."""
    return any(name.removeprefix(_PREFIX).startswith("embeddingHead.") for name in weights)


def open_ance(folder: Path, weights: Mapping[str, Tensor]) -> Opened:
    """Read the folder.

    Raises:
        ModelError: a weight of the backbone or of the head is missing.
    """
    weights = {name.removeprefix(_PREFIX): tensor for name, tensor in weights.items()}
    missing = sorted(_HEAD.keys() - weights.keys())
    if missing:
        raise ModelError(f"{folder}: the head's {', '.join(missing)} are not in the file")
    dimension, width = weights["embeddingHead.weight"].shape
    head = Head(width, dimension)
    head.load_state_dict({ours: weights[theirs] for theirs, ours in _HEAD.items()})
    rest = {name: tensor for name, tensor in weights.items() if name not in _HEAD}
    backbone, unused = build_backbone(load_config(folder, "roberta"), rest, str(folder))
    tokenizer, tower = load_tokenizer(folder, backbone.config), Tower(backbone, pooling="cls", head=head.to(backbone.dtype))
    most = longest(tokenizer, tower)
    return Opened(
        layout="ANCE",
        query=tower,
        tokenizer=tokenizer,
        text=TextSettings(query_length=min(64, most), passage_length=min(512, most), lower_case=True),
        text_from="what ANCE's passage models were trained with; the files do not say",
        unused=unused,
    )
