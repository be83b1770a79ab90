"""One tower: a backbone, a pooling, an optional head.

Shapes: B sequences, L tokens, H the backbone's width, D dimensions of a vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.models.dense.pooling import pool, pooling_names
from ance_ir.models.loading.backbones import positions

Similarity = Literal["cosine", "dot"]
Compute = Callable[[Tensor, Tensor | None], Tensor]
"""From token ids and their mask to vectors, as ``Tower.forward``."""
Activation = Literal["identity", "tanh", "relu", "gelu"]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"identity": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


class Head(nn.Module):
    """What comes after the pooling: LayerNorm(activation(Linear(x)) + residual(x)).

    As it is made by default it is the head of the paper's passage and document models (``embeddingHead`` and ``norm`` of the released
    weights), initialised as there: weights N(0, 0.02), biases 0, LayerNorm at identity, eps 1e-5.

    Args:
        width: the backbone's.
        dimension: of the vectors.
        bias: whether the linear layer has one.
        activation: after the linear layer.
        norm: whether there is a LayerNorm.
        residual: whether the input is added, through a linear layer of its own where the dimensions differ.
    """

    def __init__(
        self,
        width: int,
        dimension: int,
        *,
        bias: bool = True,
        activation: Activation = "identity",
        norm: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(width, dimension, bias=bias)
        self.activation = activation
        self.norm = nn.LayerNorm(dimension, eps=1e-5) if norm else None
        self.adds_input = residual
        self.residual = nn.Linear(width, dimension, bias=False) if residual and width != dimension else None
        self._activate = _ACTIVATIONS[activation]()
        nn.init.normal_(self.linear.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, pooled_BH: Tensor) -> Tensor:
        """Vectors, ``[B, D]``."""
        vectors: Tensor = self._activate(self.linear(pooled_BH))
        if self.adds_input:
            vectors = vectors + (pooled_BH if self.residual is None else self.residual(pooled_BH))
        return vectors if self.norm is None else self.norm(vectors)

    @property
    def dimension(self) -> int:
        """Dimensions of a vector, D."""
        return self.linear.out_features

    def __repr__(self) -> str:
        return f"Head({self.linear.in_features}, {self.linear.out_features}, {self})"

    def __str__(self) -> str:
        parts = ["Linear", *([self.activation] if self.activation != "identity" else [])]
        parts += [*(["+ input"] if self.adds_input else []), *(["LayerNorm"] if self.norm is not None else [])]
        return " → ".join(parts)


class UnitLength(nn.Module):
    """Scales vectors to length 1, before other steps of a chain."""

    def forward(self, vectors_BD: Tensor) -> Tensor:
        """Vectors, ``[B, D]``."""
        return nn.functional.normalize(vectors_BD.float(), dim=-1).to(vectors_BD.dtype)

    def __repr__(self) -> str:
        return "unit length"


class Cut(nn.Module):
    """Keeps the first dimensions of vectors (Matryoshka).

    Args:
        dimension: how many.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, vectors_BD: Tensor) -> Tensor:
        """Vectors, ``[B, D]``."""
        return vectors_BD[:, : self.dimension]

    def __repr__(self) -> str:
        return f"first {self.dimension}"


Step = Head | nn.LayerNorm | UnitLength | Cut


class Chain(nn.Sequential):
    """Several steps after the pooling, as sentence-transformers' modules are: heads, LayerNorms, unit length, a cut.

    Args:
        width: what comes in.
        steps: in their order.
    """

    def __init__(self, width: int, *steps: Step) -> None:
        super().__init__(*steps)
        self.dimension = next((step.dimension for step in reversed(steps) if isinstance(step, Head | Cut)), width)

    def __repr__(self) -> str:
        return f"Chain({self})"

    def __str__(self) -> str:
        return " → ".join("LayerNorm" if isinstance(step, nn.LayerNorm) else str(step) for step in self)


class Tower(nn.Module):
    """Token ids to vectors.

    Attributes:
        separator: the token after which those of a sequence are of token type 1; ``None``: all types are 0.

    Args:
        backbone: a Hugging Face encoder whose output has ``last_hidden_state``.
        pooling: one of ``POOLINGS``, or several: ``"cls+mean"``.
        head: applied to what was pooled.
        normalize: scale vectors to length 1.
    """

    def __init__(self, backbone: PreTrainedModel, *, pooling: str, head: Head | Chain | None = None, normalize: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = "+".join(pooling_names(pooling))
        self.head = head
        self.normalize = normalize
        self.separator: int | None = None
        pooler = getattr(backbone, "pooler", None)
        if pooler is not None:  # never used; without this, optimisers and distributed training would wait for its gradients
            pooler.requires_grad_(False)

    def __repr__(self) -> str:
        head = "" if self.head is None else f", head={self.head}"
        return f"Tower({self.backbone.config.model_type}, {self.dimension} dimensions, pooling={self.pooling!r}, {self.similarity}{head})"

    @property
    def steps(self) -> list[Step]:
        """What comes after the pooling, step by step."""
        return (
            []
            if self.head is None
            else [self.head]
            if isinstance(self.head, Head)
            else [step for step in self.head if isinstance(step, Step)]
        )

    @property
    def dimension(self) -> int:
        """Dimensions of a vector, D."""
        return self.head.dimension if self.head is not None else self.width

    @property
    def unweighted(self) -> tuple[str, bool, str]:
        """What decides vectors and is not among the weights; as in the first fingerprints, of a plain head its activation alone."""
        head = self.head
        if isinstance(head, Head) and not head.adds_input:
            return self.pooling, self.normalize, head.activation
        return self.pooling, self.normalize, "identity" if head is None else str(head)

    @property
    def width(self) -> int:
        """Dimensions of what is pooled."""
        return int(self.backbone.config.hidden_size) * len(pooling_names(self.pooling))

    @property
    def similarity(self) -> Similarity:
        """The meaning of the inner product of two vectors."""
        return "cosine" if self.normalize else "dot"

    @property
    def longest(self) -> int:
        """The most tokens that the backbone has positions for."""
        return positions(self.backbone)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor | None, compute: Compute | None = None) -> Tensor:
        """Vectors, ``[B, D]``.

        Args:
            ids_BL: padded token ids, int64.
            mask_BL: their mask, likewise; ``None`` where there is no padding.
            compute: computes the vectors in place of the tower's modules.
        """
        if compute is not None:
            return compute(ids_BL, mask_BL)
        return self.vectors(self.hidden(ids_BL, mask_BL, self._types(ids_BL)), mask_BL)

    def with_separator(self, separator: int | None) -> Self:
        """The same weights, not copied, with another ``separator``."""
        if separator == self.separator:
            return self
        tower = copy.copy(self)
        tower.separator = separator
        return tower

    def _types(self, ids_BL: Tensor) -> Tensor | None:
        """Token types, int64 ``[B, L]``; those of padding have no meaning."""
        if self.separator is None:
            return None
        ends_BL = (ids_BL == self.separator).long()
        return (ends_BL.cumsum(1) - ends_BL).clamp(max=1)

    def hidden(self, ids_BL: Tensor, mask_BL: Tensor | None, types_BL: Tensor | None = None) -> Tensor:
        """The backbone's hidden states, ``[B, L, H]``; token types, where it has them, are 0 unless they are given."""
        types = {} if types_BL is None else {"token_type_ids": types_BL}
        hidden_BLH: Tensor = self.backbone(input_ids=ids_BL, attention_mask=mask_BL, **types).last_hidden_state
        return hidden_BLH

    def vectors(self, hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Vectors, ``[B, D]``, of hidden states."""
        pooled_BH = pool(self.pooling, hidden_BLH, mask_BL)
        vectors_BD = self.head(pooled_BH) if self.head is not None else pooled_BH
        # in half precision a vector's length would be off by half a percent
        return nn.functional.normalize(vectors_BD.float(), dim=-1) if self.normalize else vectors_BD

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device
