"""A tower as it is exported: pooling, head, cut and normalisation are in the graph.

Shapes: B sequences, L tokens, H the backbone's width, D dimensions of a vector.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ance_ir.models.dense.layout import longest
from ance_ir.models.dense.static import StaticBackbone
from ance_ir.models.dense.tower import Tower
from ance_ir.models.export.graph import BATCH, LENGTH, Graph, inputs_of, plain
from ance_ir.models.loading.backbones import has_token_types


class TowerGraph(nn.Module):
    """A copy of a tower that gives the hidden states too, which sentence-transformers pools by itself.

    Args:
        tower: left as it is.
    """

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = traceable(tower)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors ``[B, D]`` and hidden states ``[B, L, H]``."""
        hidden_BLH = self.tower.hidden(ids_BL, mask_BL, types_BL)
        return self.tower.vectors(hidden_BLH, mask_BL), hidden_BLH


def traceable(tower: Tower) -> Tower:
    """A copy of a tower, on the CPU, in float32 and without fused attention.

    OpenVINO's fused attention makes NaN of a token of padding that may attend to none (decoders, attention in a window), and those reach
    the text's own tokens. Of ordinary operations it fuses attention by itself, just as fast.
    """
    copied = copy.deepcopy(tower).cpu().float().eval()
    copied._forward_pre_hooks.clear()  # whoever looks on is called by the tower itself, not by its copy too
    copied._forward_hooks.clear()
    plain(copied.backbone)
    return copied


def graph_of(tower: Tower, tokenizer: PreTrainedTokenizerBase) -> Graph:
    """The graph of a tower."""
    config = tower.backbone.config
    return Graph(
        module=TowerGraph(tower),
        inputs=inputs_of(has_token_types(config, tokenizer)),
        outputs={"sentence_embedding": (BATCH, tower.dimension), "last_hidden_state": (BATCH, LENGTH, int(config.hidden_size))},
        vocabulary=int(config.vocab_size),
        longest=longest(tokenizer, tower),
        elsewhere=not isinstance(tower.backbone, StaticBackbone),  # whose runtime is always torch there
    )
