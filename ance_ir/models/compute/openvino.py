"""Modules of torch, converted and compiled by OpenVINO."""

from __future__ import annotations

import queue
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.optional import optional

_REMEDY = "pip install 'ance_ir[int8]'"


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
        optional(name, needed_for="OpenVINO", remedy=_REMEDY) for name in ("openvino.frontend", "openvino.frontend.pytorch.ts_decoder")
    )
    for part in module.modules():
        if isinstance(part, PreTrainedModel):
            part.loss_type = "ForMaskedLM"  # the tracer looks at loss_function too, which warns where this is not set
    # openvino.convert_model does the same, and sends Intel telemetry
    frontend = frontends.FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about branches that padding and length do not take
        # without torch's own check, which takes a second trace and never frees it; the frontend keeps no reference to what is traced
        traced = ts_decoder.TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
        return frontend.convert(frontend.load(traced))


def has_bfloat16() -> bool:
    """Whether OpenVINO has bfloat16 instructions to use on this processor."""
    core = optional("openvino", needed_for="OpenVINO", remedy=_REMEDY).Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Compiled:
    """A module of token ids and mask, compiled for this CPU; may be called by several threads.

    Each call is computed by one thread, and as many calls at once as torch has threads: threads that share a matrix product wait for each
    other after every one of them, longest where another process needs a core.

    Args:
        module: a copy in float32 and evaluation mode; takes int64 ``[B, L]`` twice.
        bfloat16: compute in bfloat16, if the processor has instructions for it, otherwise in float32; torch would take ten times as long.
        properties: of OpenVINO's CPU plugin, in addition.

    Attributes:
        streams: how many calls are computed at once.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        Exception: OpenVINO's errors and the tracer's, which have no root of their own.
    """

    def __init__(self, module: nn.Module, *, bfloat16: bool, **properties: str) -> None:
        self.streams = torch.get_num_threads()
        ones = torch.ones((2, 8), dtype=torch.int64)
        model = converted(module, (ones, ones))
        chosen: dict[str, Any] = {
            "NUM_STREAMS": str(self.streams),
            "INFERENCE_NUM_THREADS": self.streams,
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 and has_bfloat16() else "f32",
            "ENABLE_CPU_PINNING": False,
        }
        core = optional("openvino", needed_for="OpenVINO", remedy=_REMEDY).Core()
        compiled = core.compile_model(model, "CPU", chosen | properties)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, ids_BL: Tensor, mask_BL: Tensor | None) -> Tensor:
        """What the module computes, in memory of its own; without a mask there is no padding."""
        mask_BL = torch.ones_like(ids_BL) if mask_BL is None else mask_BL
        request = self._idle.get()
        try:  # a copy: the request's next batch is written over its output
            return torch.from_numpy(request.infer([ids_BL.numpy(), mask_BL.numpy()])[0].copy())
        finally:
            self._idle.put(request)
