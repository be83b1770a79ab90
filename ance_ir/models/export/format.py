"""A format of exported models: the packages it needs, how a graph is written, and how the result is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ance_ir import registries
from ance_ir.models.export.graph import Graph
from ance_ir.registry import Registry

OUTPUT = "sentence_embedding"
"""The output that the formats' examples compute; others take its place where a graph has none of this name."""

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Inputs by their names to outputs by theirs."""


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format.

    Attributes:
        shown: what messages and cards call it.
        packages: modules of optional packages that writing and running need.
        file: the graph's file in the folder of its model, where sentence-transformers' backend of this name looks for it.
        write: writes a graph to such a file; what is raised there says that it does not convert.
        run: opens such a file on a CPU, in float32.
        example: Python code that computes ``OUTPUT`` from ``inputs`` (arrays by name) with the file in ``"this/folder"``.
    """

    shown: str
    packages: tuple[str, ...]
    file: str
    write: Callable[[Graph, Path], None]
    run: Callable[[Path], Run]
    example: str


EXPORT_FORMATS: Registry[ExportFormat] = registries.EXPORT_FORMATS
