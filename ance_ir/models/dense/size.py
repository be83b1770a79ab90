"""How large an encoder is, and what it computes for a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ance_ir.models.dense.tower import Tower


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a transformer encoder.

    Attributes:
        layers: how many.
        width: of its hidden states.
        matrices: weights of the linear layers, those that GPT-2 and its like write as convolutions among them.
        weights: all of them.
    """

    layers: int
    width: int
    matrices: int
    weights: int

    @classmethod
    def of(cls, tower: Tower) -> Size:
        """The size of a tower."""
        return cls.of_backbone(tower.backbone, tower)

    @classmethod
    def of_backbone(cls, backbone: PreTrainedModel, whole: nn.Module | None = None) -> Size:
        """The size of a transformer.

        Args:
            backbone: it.
            whole: the model that it is in, whose weights are counted; by default itself.
        """
        config = backbone.config
        linear = (module for name, module in backbone.named_modules() if isinstance(module, nn.Linear | Conv1D) and "pooler" not in name)
        return cls(
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            matrices=sum(module.weight.numel() for module in linear),
            weights=sum(weight.numel() for weight in (whole or backbone).parameters()),
        )

    def cut(self, layers: int) -> Size:
        """The size of the same encoder with fewer layers, or more."""
        more = (layers - self.layers) * self.matrices // max(1, self.layers)
        return Size(layers=layers, width=self.width, matrices=self.matrices + more, weights=self.weights + more)

    def operations(self, lengths: Sequence[int]) -> float:
        """Floating-point operations to encode texts of so many tokens, padding not counted.

        Two for each weight of a linear layer and token, and in each layer's attention four for each unit of the width and pair of tokens:
        2 · matrices · Σ length + 4 · layers · width · Σ length².
        """
        pairs = sum(length**2 for length in lengths)
        return float(2 * self.matrices * sum(lengths) + 4 * self.layers * self.width * pairs)
