"""A reranker as it is exported: its logits.

Shapes: B pairs, L tokens, C logits.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from transformers import PreTrainedModel

from ance_ir.models.cross.pairs import PairTokenizer
from ance_ir.models.export.graph import BATCH, Computed, Graph, inputs_of

Logits = Callable[[PreTrainedModel, Tensor, Tensor, Tensor | None], Tensor]
"""Logits ``[B, C]`` of token ids, their mask and, where the model has them, token types, int64 ``[B, L]`` each."""


def graph_of(model: PreTrainedModel, tokenizer: PairTokenizer, compute: Logits, logits: int, *, elsewhere: bool) -> Graph:
    """The graph of a reranker.

    Args:
        model: left as it is.
        tokenizer: its pairs'.
        compute: its logits.
        logits: how many there are.
        elsewhere: see ``Graph``.
    """
    return Graph(
        module=Computed(model, lambda *inputs: (compute(*inputs),)),
        inputs=inputs_of(tokenizer.token_types),
        outputs={"logits": (BATCH, logits)},
        vocabulary=int(model.config.vocab_size),
        longest=tokenizer.longest,
        call=tokenizer.call,
        elsewhere=elsewhere,
    )
