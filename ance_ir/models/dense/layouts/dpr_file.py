"""DPR's two towers as one file of the original code.

Its fields by name, ``model_dict`` with ``question_model.*`` and ``ctx_model.*`` among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout
from ance_ir.models.dense.layouts.dpr import LENGTH, opened, tower_of
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weight_files import own_names, read_torch
from ance_ir.models.loading.weights import load_config, load_tokenizer

_MODELS = ("question_model.", "ctx_model.")
_BACKBONE = "bert-base-uncased"


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    """Configuration and tokeniser are those next to the file, else those of the backbone that it names (``bert-base-uncased``)."""
    path = files.path
    fields = read_torch(path)
    weights = fields.get("model_dict") if isinstance(fields, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelError(f"{path}: a DPR checkpoint was expected, with the weights under model_dict")
    weights = own_names(weights, path)
    given: dict[str, Any] = dict(fields.get("encoder_params") or {})
    home = (
        path.parent
        if (path.parent / "config.json").exists()
        else _resolve_backbone(str(given.get("pretrained_model_cfg") or _BACKBONE), path)
    )
    config = load_config(home)
    towers, unused = [], sorted(name for name in weights if not name.startswith(_MODELS))
    for prefix in _MODELS:
        own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        tower, left = tower_of(config, own, f"{path}, {prefix}*")
        towers.append(tower)
        unused += [prefix + name for name in left]
    length = int(given.get("sequence_length") or LENGTH)
    return opened("DPR, one file", towers[0], towers[1], load_tokenizer(home, config), length, tuple(unused))


def _resolve_backbone(name: str, path: Path) -> Path:
    try:
        return resolve(name)
    except ModelError as error:
        raise ModelError(f"{path} holds weights only; its configuration and tokeniser are those of {name}: {error}") from None


LAYOUT = Layout(
    sign="a file (nq.cp, multi.cp) with model_dict in it",
    order=2,
    recognises=lambda files: len(files.paths) == 1 and files.path.is_file(),
    open=_open,
)
