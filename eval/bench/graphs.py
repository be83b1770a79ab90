"""Contenders that compute exported graphs, as the backends of sentence-transformers do: its tokenising, sorting, batches and pooling.

The backends themselves need optimum-onnx and optimum-intel, which do not run with the versions of transformers that this package needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from ance_ir.models import DenseEncoder
from ance_ir.models.compute.openvino import has_bfloat16
from ance_ir.models.compute.precision import Precision
from ance_ir.optional import optional

Inputs = Mapping[str, np.ndarray]
Samples = Callable[[], Sequence[Inputs]]

_OUTPUT = "last_hidden_state"
_SAMPLES = 300
"""As many as NNCF takes by default."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What computes an exported graph.

    Attributes:
        precision: what it computes in.
        packages: modules that it needs.
        open: from the folder of a checkpoint, beside which the graph is written, and inputs to calibrate it with, to what maps inputs to
            hidden states ``[B, L, H]``.
    """

    precision: Precision
    packages: tuple[str, ...]
    open: Callable[[Path, Samples], Callable[[Inputs], np.ndarray]]


def _exported(checkpoint: Path, form: str) -> Path:
    """The folder of the graph, written if it is not there."""
    folder = checkpoint.parent / form
    if not folder.exists():
        DenseEncoder.from_pretrained(checkpoint, device="cpu").export(folder, form)
    return folder


def _openvino(precision: str, *, calibrated: bool = False) -> Callable[[Path, Samples], Callable[[Inputs], np.ndarray]]:
    def opened(checkpoint: Path, samples: Samples) -> Callable[[Inputs], np.ndarray]:
        openvino = optional("openvino", needed_for="this benchmark", remedy="pip install 'ance_ir[export]'")
        path = _exported(checkpoint, "openvino") / "openvino" / "openvino_model.xml"
        if calibrated:
            path = _calibrated(path, samples())
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled = openvino.Core().compile_model(path, "CPU", settings)  # the hint is optimum-intel's default
        names = {name for port in compiled.inputs for name in port.names}

        def run(inputs: Inputs) -> np.ndarray:
            found: np.ndarray = compiled({name: array for name, array in inputs.items() if name in names})[_OUTPUT]
            return found

        return run

    return opened


def _calibrated(path: Path, samples: Sequence[Inputs]) -> Path:
    """The graph with weights and inputs in 8 bits, whose ranges NNCF finds with samples, in the way of its quantiser for transformers."""
    digest = hashlib.blake2b(b"".join(inputs["input_ids"].tobytes() for inputs in samples), digest_size=8).hexdigest()
    into = path.with_name(f"openvino_model_qint8_{digest}.xml")
    if not into.exists():
        openvino = optional("openvino", needed_for="this benchmark", remedy="pip install 'ance_ir[export]'")
        os.environ.setdefault("NNCF_CI", "1")  # otherwise it reports its use to its makers
        nncf = optional("nncf", needed_for="this benchmark", remedy="pip install nncf")
        graph = openvino.Core().read_model(path)
        names = {name for port in graph.inputs for name in port.names}
        data = nncf.Dataset([{name: array for name, array in inputs.items() if name in names} for inputs in samples])
        kind, preset = nncf.ModelType.TRANSFORMER, nncf.QuantizationPreset.MIXED
        with contextlib.redirect_stdout(sys.stderr):  # it shows its progress on the standard output, where the table goes
            quantized = nncf.quantize(graph, data, model_type=kind, preset=preset, subset_size=len(samples))
        openvino.save_model(quantized, into, compress_to_fp16=False)
    return into


def _onnx(quantized: bool) -> Callable[[Path, Samples], Callable[[Inputs], np.ndarray]]:
    def opened(checkpoint: Path, samples: Samples) -> Callable[[Inputs], np.ndarray]:
        runtime = optional("onnxruntime", needed_for="this benchmark", remedy="pip install 'ance_ir[export]'")
        path = _exported(checkpoint, "onnx") / "onnx" / "model.onnx"
        if quantized:
            path = _quantized(path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = {one.name for one in session.get_inputs()}

        def run(inputs: Inputs) -> np.ndarray:
            found: np.ndarray = session.run([_OUTPUT], {name: array for name, array in inputs.items() if name in names})[0]
            return found

        return run

    return opened


def _quantized(path: Path) -> Path:
    """The graph with weights in 8 bits, a scale for each output, and inputs scaled as they come, as optimum's ``avx512_vnni``."""
    into = path.with_name("model_qint8.onnx")
    if not into.exists():
        library = optional("onnxruntime.quantization", needed_for="this benchmark", remedy="pip install 'ance_ir[export]'")
        library.quantize_dynamic(path, into, per_channel=True, weight_type=library.QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])
    return into


_EXPORTERS = ("onnx", "onnxscript", "onnxruntime")

RUNTIMES: Mapping[str, Runtime] = {
    "OpenVINO, batches of 32": Runtime(precision="float32", packages=("openvino",), open=_openvino("f32")),
    "ONNX Runtime, batches of 32": Runtime(precision="float32", packages=_EXPORTERS, open=_onnx(False)),
    "OpenVINO bfloat16, batches of 32": Runtime(precision="bfloat16", packages=("openvino",), open=_openvino("bf16")),
    "OpenVINO int8 (NNCF), batches of 32": Runtime(precision="int8", packages=("openvino", "nncf"), open=_openvino("f32", calibrated=True)),
    "ONNX Runtime int8, batches of 32": Runtime(precision="int8", packages=_EXPORTERS, open=_onnx(True)),
}


def runnable(precisions: list[Precision], device: str) -> list[str]:
    """The names of those that can run here, in some precisions."""
    return [
        name
        for name, runtime in RUNTIMES.items()
        if device == "cpu"
        and runtime.precision in precisions
        and all(map(find_spec, runtime.packages))
        and (runtime.precision != "bfloat16" or has_bfloat16())
    ]


def put_in(name: str, checkpoint: Path, model: Any, texts: Sequence[str]) -> None:
    """Have a ``SentenceTransformer`` compute the hidden states with a runtime, which is calibrated with the first texts if need be."""
    run = RUNTIMES[name].open(checkpoint, lambda: [_arrays(model.preprocess([text])) for text in texts[:_SAMPLES]])

    def forward(return_dict: bool = True, **features: Tensor) -> BaseModelOutput:
        hidden_BLH = run(_arrays(features))
        return BaseModelOutput(last_hidden_state=torch.from_numpy(hidden_BLH))

    model[0].model.forward = forward


def _arrays(features: Mapping[str, Any]) -> Inputs:
    return {name: tensor.numpy() for name, tensor in features.items() if isinstance(tensor, Tensor)}
