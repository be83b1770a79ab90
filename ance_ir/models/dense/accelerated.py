"""What computes the vectors of many texts: OpenVINO on a CPU where it is installed, torch everywhere else.

Where there are few texts, and without OpenVINO, it is torch with packed weights (``compute/packing.py``). What decides is the number of
tokens of the texts at hand, not what was encoded before, so that the same texts give the same vectors to the bit.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np
import torch

from ance_ir.models.adapters.layers import is_adapted
from ance_ir.models.compute.openvino import Compiled
from ance_ir.models.compute.packing import packed_weights
from ance_ir.models.dense.graph import traceable
from ance_ir.models.dense.int8 import Int8Tower
from ance_ir.models.dense.static import StaticBackbone
from ance_ir.models.dense.tower import Compute, Tower
from ance_ir.models.loading.hashing import state_of

logger = logging.getLogger(__name__)

COMPILE_FROM = 16_384
"""Tokens from which on a tower is compiled, which takes a small one a second or two, about as long as torch takes for so many."""

_LARGEST = 1 << 29
"""Weights up to which towers are compiled: meanwhile there are four copies of them in float32, afterwards nearly three (measured)."""

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2}
"""How far compiled vectors may be from torch's in float32, relative to their greatest number."""

_compiled: WeakKeyDictionary[Tower, tuple[object, Compiled | None]] = WeakKeyDictionary()
"""Of each tower the state that it was compiled in, and the result; ``None``: it does not compile."""
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def accelerated(tower: Tower, tokens: int) -> Iterator[tuple[Compute, int]]:
    """The fastest way to compute a tower's vectors, and how many batches it computes at once, each in a thread of its own.

    The weights are read again each time, since training may have changed them. Hooks of the tower itself are called as ever.

    Args:
        tower: in evaluation mode; its vectors are wanted without gradients.
        tokens: how many will be encoded.
    """
    if isinstance(tower, Int8Tower):
        yield tower, tower.streams
        return
    compiled = _compiled_now(tower) if tokens >= COMPILE_FROM and _compiles(tower) else None
    if compiled is not None:
        yield functools.partial(tower, compute=compiled), compiled.streams
        return
    with packed_weights(tower, tokens):
        yield tower, 1


def forget_compiled(tower: Tower) -> None:
    """Free the memory of a tower's compiled copy, of two to three times its weights, since they are about to change."""
    _compiled.pop(tower, None)


def _compiles(tower: Tower) -> bool:
    """Whether it is worth trying."""
    types = {parameter.dtype for parameter in tower.parameters()}
    return (
        type(tower) is Tower
        and tower.device.type == "cpu"
        and not isinstance(tower.backbone, StaticBackbone)
        and not is_adapted(tower)
        and not _altered(tower)
        and not torch.is_autocast_enabled("cpu")
        and len(types) == 1
        and types <= _TOLERANCE.keys()
        and sum(parameter.numel() for parameter in tower.parameters()) <= _LARGEST
        and importlib.util.find_spec("openvino") is not None
    )


def _altered(tower: Tower) -> bool:
    """Whether somebody looks on within the tower, or has changed what is computed there, as nothing in its weights shows.

    Hooks of the tower itself are called in any case, and those that transformers may put into its models only collect what is asked for.
    """
    for part in tower.modules():
        hooks = () if part is tower else (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
        if "forward" in part.__dict__ or not all(hook.__module__.startswith("transformers.") for hook in hooks):
            return True
    return False


def _compiled_now(tower: Tower) -> Compiled | None:
    """The tower as it is now, compiled; ``None`` where OpenVINO cannot."""
    with _one_at_a_time:
        before, compiled = _compiled.get(tower, (None, None))
        if before is not None and compiled is None:
            return None
        weights = {**tower.state_dict(), **dict(tower.named_buffers())}
        state = (state_of(weights), tower.backbone.config.to_dict(), tower.unweighted, tower.separator, torch.get_num_threads())
        if before != state:
            del compiled  # so that there are not two of them while the new one is made
            _compiled.pop(tower, None)
            compiled = _compile(tower)
            _compiled[tower] = (state, compiled)
        return compiled


def _compile(tower: Tower) -> Compiled | None:
    dtype = tower.backbone.dtype
    try:
        whole = traceable(tower)
        compiled = Compiled(whole, bfloat16=dtype == torch.bfloat16)
        off = float(np.max([_difference(whole, compiled, *trial) for trial in _trials(whole)]))  # NaN, if one of them is
    except Exception as error:  # OpenVINO's and the tracer's errors have no root of their own
        logger.info("OpenVINO does not convert this %s, torch computes it: %r", tower.backbone.config.model_type, error)
        return None
    if not off <= _TOLERANCE[dtype]:
        logger.info("OpenVINO computes this %s differently, by %.1g: torch computes it", tower.backbone.config.model_type, off)
        return None
    return compiled


def _trials(tower: Tower) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and masks of other shapes than the one that is traced, int64 ``[B, L]``: what depends on length must not be lost."""
    vocabulary = int(tower.backbone.config.vocab_size)
    for rows, columns in ((1, 1), (3, 8), (1, 12), (3, 33)):
        columns = min(columns, tower.longest)
        lengths_B = torch.arange(columns, columns - rows, -1).clamp(min=1)
        ids_BL = torch.arange(7, 7 + rows * columns).view(rows, columns) * 31 % vocabulary
        yield ids_BL, (torch.arange(columns) < lengths_B[:, None]).long()


def _difference(tower: Tower, compiled: Compiled, ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> float:
    expected_BD = tower(ids_BL, mask_BL)
    return float((compiled(ids_BL, mask_BL) - expected_BD).abs().max() / expected_BD.abs().max().clamp(min=1e-12))
