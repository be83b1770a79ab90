"""OpenVINO's own, for Intel's processors: ``openvino/openvino_model.xml`` and ``.bin``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ance_ir.models.compute.openvino import converted
from ance_ir.models.export.format import ExportFormat, Run
from ance_ir.models.export.graph import Graph
from ance_ir.optional import optional

_REMEDY = "pip install 'ance_ir[export]'"


def _write(graph: Graph, path: Path) -> None:
    openvino = optional("openvino", needed_for="OpenVINO", remedy=_REMEDY)
    example = graph.example()
    model = converted(graph.module, tuple(example[name] for name in graph.inputs))
    for ports, names in ((model.inputs, graph.inputs), (model.outputs, graph.outputs)):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
    openvino.save_model(model, path, compress_to_fp16=False)


def _run(path: Path) -> Run:
    openvino = optional("openvino", needed_for="OpenVINO", remedy=_REMEDY)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        found: Mapping[str, np.ndarray] = compiled(dict(inputs))
        return found

    return run


_EXAMPLE = """
import openvino

# without the hint it computes in bfloat16 where the processor can
model = openvino.Core().compile_model("this/folder/openvino/openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
found = model(inputs)["sentence_embedding"]
"""

FORMAT = ExportFormat(
    shown="OpenVINO",
    packages=("openvino",),
    file="openvino/openvino_model.xml",
    write=_write,
    run=_run,
    example=_EXAMPLE,
)
