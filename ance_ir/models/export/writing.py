"""The folder of an exported model, checked against the model before it gets its name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.files import as_path, read_json, write_json
from ance_ir.models.export.format import EXPORT_FORMATS, ExportFormat
from ance_ir.models.export.graph import IDS, LENGTH, MASK, Graph
from ance_ir.models.loading.foreign import EXPORTED
from ance_ir.models.loading.saving import model_folder
from ance_ir.optional import optional

_TOLERANCE = 1e-4
"""How far, relative to the greatest number of an output, a graph may be from the model."""


@contextlib.contextmanager
def export_folder(path: Path | str, name: str) -> Iterator[tuple[Path, ExportFormat]]:
    """Yield a new folder that appears at the path when it is done, and the format of this name, whose packages are there.

    Raises:
        UsageError: there is no such format, or something is at the path.
        MissingDependencyError: a package that the format needs is not installed.
    """
    form = EXPORT_FORMATS.find(name)
    path = as_path(path)
    if path.exists():
        raise UsageError(f"{path} exists: give another name, or remove it")
    for module in form.packages:
        optional(module, needed_for=f"export to {form.shown}", remedy="pip install 'ance_ir[export]'")
    with model_folder(path, EXPORTED) as folder:
        yield folder, form


def write_graphs(folder: Path, form: ExportFormat, graphs: Mapping[str, Graph], **described: Any) -> None:
    """Write a model's graphs, each in the folder of its tower, and ``export.json``.

    Args:
        folder: with everything else that belongs to the model.
        form: the format.
        graphs: by the folders of their towers, ``"."`` where there is one graph.
        described: what else ``export.json`` says of the model.

    Raises:
        ModelError: a graph does not convert, or the result computes something else.
    """
    for part, graph in graphs.items():
        _settle_tokenizer(folder / part)
        path = folder / part / form.file
        path.parent.mkdir(parents=True)
        try:
            form.write(graph, path)
        except (AnceError, OSError):
            raise
        except Exception as error:  # the exporters' errors have no root of their own
            others = " or ".join(f"--format {name}" for name, other in EXPORT_FORMATS.items() if other is not form)
            raise ModelError(f"{form.shown} cannot represent this model ({_reason(error)}); try {others}") from error
        check(graph, form, path)
    files = {part: {"file": form.file, "inputs": graph.inputs, "outputs": graph.outputs} for part, graph in graphs.items()}
    write_json(folder / EXPORTED, {**described, "graphs": files})


def _settle_tokenizer(folder: Path) -> None:
    """Have a tokeniser pad on the right, as the graph reads, with any token if it has none of its own, and bear a name that transformers 4
    knows too, which the backends of sentence-transformers need.
    """
    path = folder / "tokenizer_config.json"
    settings = read_json(path)
    if settings.get("pad_token") is None:
        settings["pad_token"] = Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token(0)
    settings["padding_side"] = "right"
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_json(path, settings)


def _reason(error: BaseException) -> str:
    """The first line of what an error began with, without the advice that is wrapped around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else repr(error)


def check(graph: Graph, form: ExportFormat, path: Path) -> None:
    """Refuse a file that computes something else than the graph that it was written from, for some shape of inputs.

    Raises:
        ModelError: says which output is off, and by how much.
    """
    run = form.run(path)
    for inputs in graph.trials():
        found = run({name: tensor.numpy() for name, tensor in inputs.items()})
        for name, expected in graph.compute(inputs).items():
            wanted = expected.numpy()
            of_tokens = graph.outputs[name][1:2] == (LENGTH,)
            kept = inputs[MASK].numpy().astype(bool) if of_tokens else np.ones(len(wanted), bool)
            if found[name].shape != wanted.shape:
                raise ModelError(f"the {form.shown} graph gives {name} of shape {found[name].shape} and not {wanted.shape}")
            difference = float(np.abs(found[name][kept] - wanted[kept]).max() / max(1.0, np.abs(wanted[kept]).max()))
            if not difference <= _TOLERANCE:
                raise ModelError(
                    f"the {form.shown} graph computes something else than the model: {name} is off by {difference:.1g} for inputs of shape "
                    f"{tuple(inputs[IDS].shape)}"
                )
