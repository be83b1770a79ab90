"""ONNX, for ONNX Runtime and whatever else reads it: ``onnx/model.onnx``"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from ance_ir.models.export.format import ExportFormat, Run
from ance_ir.models.export.graph import BATCH, LENGTH, Graph
from ance_ir.optional import optional

_ONE_FILE = 1_500_000_000
"""Bytes of weights up to which they are in the graph's own file, which protobuf limits to 2 GB; more are in ``model.onnx.data``."""


def _write(graph: Graph, path: Path) -> None:
    # torch's exporter by torch.export: the older one, by tracing, is deprecated, and its graphs of RoBERTa, MPNet and T5 compute something
    # else for other lengths than the example's.
    example = graph.example()
    with _quiet():
        program = torch.onnx.export(
            graph.module,
            tuple(example[name] for name in graph.inputs),
            dynamo=True,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple({0: BATCH, 1: LENGTH} for _ in graph.inputs),
            verbose=False,
        )
        assert program is not None
        size = sum(parameter.nbytes for parameter in graph.module.parameters())
        program.save(path, external_data=size > _ONE_FILE)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on operations that no model here has."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _run(path: Path) -> Run:
    session = optional("onnxruntime", needed_for="ONNX", remedy="pip install 'ance_ir[export]'").InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


_EXAMPLE = """
import onnxruntime

session = onnxruntime.InferenceSession("this/folder/onnx/model.onnx")
(found,) = session.run(["sentence_embedding"], inputs)
"""

FORMAT = ExportFormat(
    shown="ONNX",
    packages=("onnx", "onnxscript", "onnxruntime"),
    file="onnx/model.onnx",
    write=_write,
    run=_run,
    example=_EXAMPLE,
)
