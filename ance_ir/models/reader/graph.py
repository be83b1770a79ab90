"""A reader as it is exported: its logits.

Shapes: B windows, L tokens.
"""

from __future__ import annotations

from torch import Tensor
from transformers import DPRReader, PreTrainedModel

from ance_ir.models.export.graph import BATCH, LENGTH, Computed, Graph, inputs_of
from ance_ir.models.reader.text import ReaderTokenizer


def graph_of(model: PreTrainedModel, tokenizer: ReaderTokenizer) -> Graph:
    """The graph of a reader: logits of starts and ends of all tokens, be they text or not, and of DPR's the relevance.

    Args:
        model: left as it is.
        tokenizer: its windows'.
    """
    outputs: dict[str, tuple[str, ...]] = {"start_logits": (BATCH, LENGTH), "end_logits": (BATCH, LENGTH)}
    if isinstance(model, DPRReader):
        outputs["relevance_logits"] = (BATCH,)

    def compute(model: PreTrainedModel, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None) -> tuple[Tensor, ...]:
        types = {} if types_BL is None else {"token_type_ids": types_BL}
        found = model(input_ids=ids_BL, attention_mask=mask_BL, return_dict=True, **types)
        return tuple(found[name] for name in outputs)

    return Graph(
        module=Computed(model, compute),
        inputs=inputs_of(tokenizer.token_types),
        outputs=outputs,
        vocabulary=int(model.config.vocab_size),
        longest=tokenizer.longest,
        call=tokenizer.call,
    )
