"""Modules of torch as models of OpenVINO."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.optional import optional


def converted(module: nn.Module, example: tuple[Tensor, ...]) -> Any:
    """An ``openvino.Model`` that computes what a module does, for inputs of any size.

    Args:
        module: of torch, a copy, traced with the example.
        example: inputs.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        Exception: OpenVINO's errors and the tracer's, which have no root of their own.
    """
    frontends, ts_decoder = (
        optional(name, needed_for="OpenVINO", remedy="pip install 'ance_ir[int8]'")
        for name in ("openvino.frontend", "openvino.frontend.pytorch.ts_decoder")
    )
    for part in module.modules():
        if isinstance(part, PreTrainedModel):
            part.loss_type = "ForMaskedLM"  # the tracer looks at loss_function too, which warns where this is not set
    # openvino.convert_model does the same, and sends Intel telemetry
    frontend = frontends.FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about branches that padding and length do not take
        traced = ts_decoder.TorchScriptPythonDecoder(module, example_input=example)  # the frontend keeps no reference to it
        return frontend.convert(frontend.load(traced))
