"""Encoders that compute in another precision than their checkpoint's."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import torch

from ance_ir.errors import UsageError
from ance_ir.models.compute.precision import Precision
from ance_ir.models.dense.tower import Tower

if TYPE_CHECKING:
    from ance_ir.models.dense.model import DenseEncoder


def at_precision(model: DenseEncoder, precision: Precision) -> DenseEncoder:
    """The encoder at another precision; itself where that is its own. What it was made from may be changed by it.

    Raises:
        UsageError: there is no such precision, or not on the model's device.
        MissingDependencyError: ``"int8"`` without its extra.
        ModelError: the backbone does not convert.
    """
    from ance_ir.models.dense.model import Conversion, DenseEncoder

    if precision not in get_args(Precision):
        raise UsageError(f"a precision is one of {', '.join(get_args(Precision))}, not {precision!r}")
    if model.precision == precision:
        return model
    model.check_unconverted("converted again")
    if precision == "int8" and model.device.type != "cpu":
        raise UsageError(f"int8 is computed on a CPU, not on {model.device}; bfloat16 is fast there")
    conversion = Conversion(precision=precision, weights=model.weights_hash())
    query = _converted(model.query_tower, precision)
    passage = None if model.shared else _converted(model.passage_tower, precision)
    return DenseEncoder(query, passage, model.tokenizer.tokenizer, model.text, name=model.name, origin=model.origin, conversion=conversion)


def _converted(tower: Tower, precision: Precision) -> Tower:
    if precision == "int8":
        from ance_ir.models.dense.int8 import Int8Tower

        return Int8Tower(tower)
    tower = tower.to(getattr(torch, precision))
    if precision == "bfloat16" and tower.device.type == "cpu":
        tower.backbone.set_attn_implementation("eager")  # torch's fused attention on a CPU makes no use of bfloat16 instructions
    return tower
