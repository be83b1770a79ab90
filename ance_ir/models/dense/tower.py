"""One tower: a backbone, a pooling, an optional head.

Shapes: B sequences, L tokens, H the backbone's width, D dimensions of a vector.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.models.dense.pooling import POOLINGS
from ance_ir.models.loading.backbones import positions

Similarity = Literal["cosine", "dot"]
Activation = Literal["identity", "tanh", "relu", "gelu"]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"identity": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


class Head(nn.Module):
    """What comes after the pooling: LayerNorm(activation(Linear(x))).

    As it is made by default it is the head of the paper's passage and document models (``embeddingHead`` and ``norm`` of the released
    weights), initialised as there: weights N(0, 0.02), biases 0, LayerNorm at identity, eps 1e-5.

    Args:
        width: the backbone's.
        dimension: of the vectors.
        bias: whether the linear layer has one.
        activation: after the linear layer.
        norm: whether there is a LayerNorm.
    """

    def __init__(self, width: int, dimension: int, *, bias: bool = True, activation: Activation = "identity", norm: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(width, dimension, bias=bias)
        self.activation = activation
        self.norm = nn.LayerNorm(dimension, eps=1e-5) if norm else None
        self._activate = _ACTIVATIONS[activation]()
        nn.init.normal_(self.linear.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, pooled_BH: Tensor) -> Tensor:
        """Vectors, ``[B, D]``."""
        vectors: Tensor = self._activate(self.linear(pooled_BH))
        return vectors if self.norm is None else self.norm(vectors)

    def __repr__(self) -> str:
        return f"Head({self.linear.in_features}, {self.linear.out_features}, {self})"

    def __str__(self) -> str:
        parts = ["Linear", *([self.activation] if self.activation != "identity" else []), *(["LayerNorm"] if self.norm is not None else [])]
        return " → ".join(parts)


class Tower(nn.Module):
    """Token ids to vectors.

    Args:
        backbone: a Hugging Face encoder whose output has ``last_hidden_state``.
        pooling: one of ``POOLINGS``.
        head: applied to what was pooled.
        normalize: scale vectors to length 1.
    """

    def __init__(self, backbone: PreTrainedModel, *, pooling: str, head: Head | None = None, normalize: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = POOLINGS.check(pooling)
        self.head = head
        self.normalize = normalize
        pooler = getattr(backbone, "pooler", None)
        if pooler is not None:  # never used; without this, optimisers and distributed training would wait for its gradients
            pooler.requires_grad_(False)

    def __repr__(self) -> str:
        head = "" if self.head is None else f", head={self.head}"
        return f"Tower({self.backbone.config.model_type}, {self.dimension} dimensions, pooling={self.pooling!r}, {self.similarity}{head})"

    @property
    def dimension(self) -> int:
        """Dimensions of a vector, D."""
        return self.head.linear.out_features if self.head is not None else int(self.backbone.config.hidden_size)

    @property
    def similarity(self) -> Similarity:
        """The meaning of the inner product of two vectors."""
        return "cosine" if self.normalize else "dot"

    @property
    def longest(self) -> int:
        """The most tokens that the backbone has positions for."""
        return positions(self.backbone)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Vectors, ``[B, D]``, of padded token ids and their mask; ``None`` where there is no padding."""
        hidden_BLH = self.backbone(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
        pooled_BH = POOLINGS[self.pooling].pool(hidden_BLH, mask_BL)
        vectors_BD = self.head(pooled_BH) if self.head is not None else pooled_BH
        # in half precision a vector's length would be off by half a percent
        return nn.functional.normalize(vectors_BD.float(), dim=-1) if self.normalize else vectors_BD

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device
