"""A cross-encoder as it is exported: its logits.

Shapes: B pairs, L tokens, C logits.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.models.export.graph import BATCH, Graph, inputs_of, plain


class ClassifierGraph(nn.Module):
    """A copy of a model for sequence classification.

    Args:
        classifier: left as it is.
    """

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).cpu().float().eval()
        plain(self.classifier)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None = None) -> tuple[Tensor]:
        """Logits, ``[B, C]``."""
        types = {} if types_BL is None else {"token_type_ids": types_BL}
        return (self.classifier(input_ids=ids_BL, attention_mask=mask_BL, **types).logits,)


def graph_of(classifier: PreTrainedModel, longest: int, *, token_types: bool) -> Graph:
    """The graph of a cross-encoder.

    Args:
        classifier: a model for sequence classification.
        longest: the most tokens that it takes.
        token_types: whether it tells query and text apart by token types.
    """
    return Graph(
        module=ClassifierGraph(classifier),
        inputs=inputs_of(token_types),
        outputs={"logits": (BATCH, int(classifier.config.num_labels or 2))},
        vocabulary=int(classifier.config.vocab_size),
        longest=longest,
    )
