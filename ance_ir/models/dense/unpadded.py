"""Vectors without padding: a batch as one row of tokens, of which attention alone has to know where each sequence ends.

torch's flash attention computes it on GPUs, in half precision and without a mask. With padding there is a mask, which keeps torch from
flash attention, and which transformers looks at first, so that the processor waits for the GPU in every batch.

Shapes: B sequences, L tokens of the longest, T tokens in all, H the backbone's width, N heads, E dimensions of a head, D of a vector.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from ance_ir.device_memory import is_out_of_memory
from ance_ir.models.compute.batching import transferred
from ance_ir.models.dense.tower import Tower
from ance_ir.models.loading.backbones import first_position
from ance_ir.ragged import owners_of, starts_of

logger = logging.getLogger(__name__)

UNPADDED = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")
"""Types of backbones that compute everything but attention token by token, from positions that they are given."""

_ATTENTION = "ance_ir"
"""Under which name transformers knows ``attend``."""


_TOLERANCE = 0.05
"""How far flash attention may be from torch's other ways, over numbers of about 1 in half precision."""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Where the sequences of a row of tokens lie.

    Attributes:
        starts: the first token of each, and the end of the last one, int32 ``[B + 1]``, on the device that computes.
        lengths_B: of each, int64, in main memory.
        owner_T: the sequence of each token, int64, on the device.
        place_T: its place there, likewise.
    """

    starts: Tensor
    lengths_B: np.ndarray
    owner_T: Tensor
    place_T: Tensor

    @classmethod
    def of(cls, lengths_B: np.ndarray, device: torch.device) -> Sequences:
        """Those of some lengths; no one waits for the device."""
        starts = transferred(np.append(starts_of(lengths_B), lengths_B.sum()).astype(np.int32), device)
        owner_T = transferred(owners_of(lengths_B), device)
        return cls(starts=starts, lengths_B=lengths_B, owner_T=owner_T, place_T=torch.arange(len(owner_T), device=device) - starts[owner_T])

    def counted(self, flags_T: Tensor) -> Tensor:
        """How many tokens of the same sequence before each one have a flag, int64 ``[T]``."""
        before_T = flags_T.cumsum(0) - flags_T.long()
        return before_T - before_T[self.starts[self.owner_T].long()]


def unpads(tower: Tower, lengths_B: np.ndarray) -> bool:
    """Whether a tower computes a batch of such lengths without padding here and now, with ``unpadded``."""
    device = tower.device
    if device.type != "cuda" or not lengths_B.min():
        return False
    backbone, config = tower.backbone, tower.backbone.config
    if config.model_type not in UNPADDED or config._attn_implementation not in ("sdpa", _ATTENTION):
        return False
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else backbone.dtype
    size = config.hidden_size // config.num_attention_heads
    return dtype in (torch.bfloat16, torch.float16) and size % 8 == 0 and _has_flash(device, dtype, size)


def unpadded(tower: Tower, ids_T: np.ndarray, lengths_B: np.ndarray) -> Tensor:
    """Vectors of a batch, ``[B, D]``; the tower's hooks see its tokens as one sequence.

    Args:
        tower: its backbone is of one of the types ``UNPADDED``.
        ids_T: token ids, sequence after sequence.
        lengths_B: tokens of each sequence, one at least.
    """
    if tower.backbone.config._attn_implementation != _ATTENTION:
        tower.backbone.set_attn_implementation(_ATTENTION)
    sequences = Sequences.of(lengths_B, tower.device)
    ids_1T = transferred(ids_T.astype(np.int64)[None], tower.device)
    vectors: Tensor = tower(ids_1T, None, compute=functools.partial(_vectors, tower, sequences))
    return vectors


def _vectors(tower: Tower, sequences: Sequences, ids_1T: Tensor, _: Tensor | None) -> Tensor:
    """See ``unpadded``. Poolings get padded hidden states, which is little work next to that of the layers."""
    ids_T, owner_T, place_T, lengths_B = ids_1T[0], sequences.owner_T, sequences.place_T, sequences.lengths_B
    types = {} if tower.separator is None else {"token_type_ids": sequences.counted(ids_T == tower.separator).clamp(max=1)[None]}
    positions_1T = _positions(tower.backbone, ids_T, sequences)[None]
    found = tower.backbone(input_ids=ids_1T, attention_mask=None, position_ids=positions_1T, sequences=sequences, **types)
    hidden_TH = found.last_hidden_state[0]
    shape = (len(lengths_B), int(lengths_B.max()))
    hidden_BLH = hidden_TH.new_zeros((*shape, hidden_TH.shape[1])).index_put((owner_T, place_T), hidden_TH)
    mask_BL = None
    if lengths_B.min() < lengths_B.max():
        mask_BL = (torch.arange(shape[1], device=tower.device) < sequences.starts.diff()[:, None]).long()
    return tower.vectors(hidden_BLH, mask_BL)


def _positions(backbone: PreTrainedModel, ids_T: Tensor, sequences: Sequences) -> Tensor:
    """The position of each token, int64 ``[T]``, as the backbone numbers them itself."""
    first = first_position(backbone)
    if first == 0:
        return sequences.place_T
    padding = first - 1  # RoBERTa does not count padding tokens, even those that a text spells out
    counts_T = ids_T != padding
    return torch.where(counts_T, sequences.counted(counts_T) + first, padding)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sequences: Sequences | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: of padded batches torch's, of a row of tokens within each sequence.

    Args:
        module: the layer.
        query: ``[B, N, L, E]``; ``[1, N, T, E]`` where ``sequences`` are given.
        key: the same.
        value: the same.
        attention_mask: of the padding.
        dropout: of the weights.
        scaling: of the products.
        sequences: of the row.
        **others: for torch's.

    Returns:
        ``[B, L, N, E]`` or ``[1, T, N, E]``, and nothing.
    """
    if sequences is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others)
    compute = _flash if query.device.type == "cuda" else _one_by_one
    query_TNE, key_TNE, value_TNE = (one[0].transpose(0, 1) for one in (query, key, value))
    return compute(query_TNE, key_TNE, value_TNE, sequences, dropout, scaling)[None], None


def _flash(query_TNE: Tensor, key_TNE: Tensor, value_TNE: Tensor, sequences: Sequences, dropout: float, scale: float | None) -> Tensor:
    """Attention on a GPU; ``torch.nn.attention.varlen`` is the same without dropout."""
    starts, longest = sequences.starts, int(sequences.lengths_B.max())
    compute = torch.ops.aten._flash_attention_forward
    found = compute(query_TNE, key_TNE, value_TNE, starts, starts, longest, longest, dropout, False, False, scale=scale)
    attended_TNE: Tensor = found[0]
    return attended_TNE


def _one_by_one(query_TNE: Tensor, key_TNE: Tensor, value_TNE: Tensor, sequences: Sequences, dropout: float, scale: float | None) -> Tensor:
    """Attention anywhere, one sequence after the other."""
    each = (one.transpose(0, 1).split(sequences.lengths_B.tolist(), 1) for one in (query_TNE, key_TNE, value_TNE))
    attend_to = nn.functional.scaled_dot_product_attention
    attended = [attend_to(query, key, value, dropout_p=dropout, scale=scale) for query, key, value in zip(*each, strict=True)]
    return torch.cat(attended, 1).transpose(0, 1)


@functools.cache
def _has_flash(device: torch.device, dtype: torch.dtype, size: int) -> bool:
    """Whether this torch and this GPU compute attention of a row of tokens, and rightly: it is tried on a few."""
    draw = torch.Generator(device).manual_seed(0)
    with _disable_current_modes(), torch.no_grad():  # such as the one in which a step is rehearsed and nothing computed
        query, key, value = (torch.randn((40, 2, size), dtype=dtype, device=device, generator=draw) for _ in range(3))
        sequences = Sequences.of(np.array([7, 1, 32]), device)
        try:
            off = (_flash(query, key, value, sequences, 0.0, None) - _one_by_one(query, key, value, sequences, 0.0, None)).abs().max()
        except (RuntimeError, TypeError, AttributeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            logger.info("texts are padded on %s, which has no flash attention: %s", device, error)
            return False
        return float(off) < _TOLERANCE


AttentionInterface.register(_ATTENTION, attend)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
