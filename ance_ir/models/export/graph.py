"""What of a model is exported: a module from padded token ids to named outputs.

Shapes: B sequences, L tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
BATCH, LENGTH = "batch", "length"
"""The names of the dimensions of any size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A module that is ready to be exported.

    Attributes:
        module: takes int64 ``[B, L]`` by the names ``inputs``, in that order, padding on the right; gives a tuple of ``outputs``. It is on
            the CPU, in float32, and its backbone computes attention without fused operations.
        inputs: token ids and mask, and token types where the model has them.
        outputs: the names of what it gives, the most important one first, and of each one's dimensions, or their sizes.
        vocabulary: how many tokens the model has embeddings for.
        longest: the most tokens that the model takes.
        call: how a tokeniser is called in examples: its arguments, as Python code.
        elsewhere: whether the backends of sentence-transformers open the exported folder.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: Mapping[str, tuple[str | int, ...]]
    vocabulary: int
    longest: int
    call: str = '["a text"]'
    elsewhere: bool = True

    def example(self, rows: int = 2, columns: int = 8) -> dict[str, Tensor]:
        """Inputs by their names, int64 ``[rows, columns]``: arbitrary tokens, a row shorter than the one before it."""
        columns = min(columns, self.longest)
        lengths = [max(1, columns - 3 * row) for row in range(rows)]
        mask = torch.tensor([[int(place < length) for place in range(columns)] for length in lengths])
        ids = torch.arange(7, 7 + rows * columns).view(rows, columns) * 31 % self.vocabulary
        return {name: tensor for name, tensor in ((IDS, ids), (MASK, mask), (TYPES, torch.zeros_like(mask))) if name in self.inputs}

    def trials(self) -> Iterator[dict[str, Tensor]]:
        """Inputs of other shapes than the example's, to see whether an exported graph takes any."""
        for rows, columns in ((1, 1), (3, 8), (5, 33), (1, 12)):
            yield self.example(rows, columns)

    def compute(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs by their names."""
        with torch.inference_mode():
            return dict(zip(self.outputs, self.module(*(inputs[name] for name in self.inputs)), strict=True))


def inputs_of(token_types: bool) -> tuple[str, ...]:
    """The names of a model's inputs."""
    return (IDS, MASK, TYPES) if token_types else (IDS, MASK)


Compute = Callable[[PreTrainedModel, Tensor, Tensor, Tensor | None], tuple[Tensor, ...]]
"""What a model makes of token ids, their mask and, where it has them, token types, int64 ``[B, L]`` each."""


class Computed(nn.Module):
    """A copy of a model, on the CPU and in float32, and what is computed with it.

    Args:
        model: left as it is.
        compute: with the copy.
    """

    def __init__(self, model: PreTrainedModel, compute: Compute) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().float().eval()
        plain(self.model)
        self._compute = compute

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None = None) -> tuple[Tensor, ...]:
        """The outputs."""
        return self._compute(self.model, ids_BL, mask_BL, types_BL)


def plain(model: PreTrainedModel) -> None:
    """Have a copied model compute as runtimes can: no cache of keys and values, attention from ordinary operations."""
    model.config.use_cache = False
    model.set_attn_implementation("eager")  # T5's fused attention is not exported; the runtimes fuse by themselves
