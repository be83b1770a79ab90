"""Folders of sentence-transformers: Transformer, Pooling, Dense, LayerNorm, Normalize; lengths, case and prompts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models.layouts.opened import Opened, longest
from ance_ir.models.text import TextSettings
from ance_ir.models.tower import Activation, Head, Pooling, Tower
from ance_ir.models.weights import build_backbone, load_config, load_tokenizer, read_settings, read_weights

MODULES = "modules.json"
ORDER = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
"""The modules that are understood, in the order in which they may come, each at most once."""

ACTIVATIONS: dict[str, Activation] = {"Identity": "identity", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}
"""By the name of the class in torch."""


def open_sentence_transformer(folder: Path) -> Opened:
    """Read the folder.

    Raises:
        ModelError: a module that is not understood, or one whose files do not fit.
    """
    modules = [(module["type"].rsplit(".", 1)[-1], folder / module["path"]) for module in read_settings(folder / MODULES)]
    names = [name for name, _ in modules]
    outside = next((path for _, path in modules if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))), None)
    if outside is not None:
        raise ModelError(f"{folder}: {MODULES} names {outside}, which is not in the folder")
    if names != [name for name in ORDER if name in names] or names[:1] != ["Transformer"]:
        raise ModelError(f"{folder}: its modules are {', '.join(names)}; {', '.join(ORDER)} are understood, in this order")
    paths = dict(modules)
    home = paths["Transformer"]
    backbone, unused = build_backbone(load_config(home), read_weights(home), str(home))
    if "LayerNorm" in paths and "Dense" not in paths:
        raise ModelError(f"{folder}: a LayerNorm module is understood after a Dense module only")
    head = _head(paths["Dense"], paths.get("LayerNorm")).to(backbone.dtype) if "Dense" in paths else None
    pooling = _pooling(paths["Pooling"]) if "Pooling" in paths else "mean"
    tower, tokenizer = Tower(backbone, pooling=pooling, head=head, normalize="Normalize" in paths), load_tokenizer(home, backbone.config)
    return Opened(
        layout="sentence-transformers",
        query=tower,
        tokenizer=tokenizer,
        text=_text_settings(folder, home, longest(tokenizer, tower)),
        text_from="the folder's own files",
        unused=unused,
    )


def _pooling(path: Path) -> Pooling:
    config = read_settings(path / "config.json")
    modes = [name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    modes = [config["pooling_mode"]] if isinstance(config.get("pooling_mode"), str) else modes
    names: dict[str, Pooling] = {"cls_token": "cls", "cls": "cls", "mean_tokens": "mean", "mean": "mean"}
    if len(modes) != 1 or modes[0] not in names:
        raise ModelError(f"{path}: pooling {modes} is neither cls nor mean")
    if config.get("include_prompt") is False:
        raise ModelError(f"{path}: pooling that leaves out the prompt is not understood")
    return names[modes[0]]


def _head(dense: Path, layer_norm: Path | None) -> Head:
    config, weights = read_settings(dense / "config.json"), read_weights(dense)
    activation = ACTIVATIONS.get(config["activation_function"].rsplit(".", 1)[-1])
    if activation is None or config.get("use_residual"):
        raise ModelError(
            f"{dense}: a Dense module with activation {', '.join(ACTIVATIONS)} and no residual is understood, "
            f"found {config['activation_function']}"
        )
    if "linear.weight" not in weights:
        raise ModelError(f"{dense}: linear.weight is not in the file")
    dimension, width = weights["linear.weight"].shape
    head = Head(width, dimension, bias=config.get("bias", True), activation=activation, norm=layer_norm is not None)
    _fill(head.linear, weights, "linear.", dense)
    if layer_norm is not None:
        _fill(head.norm, read_weights(layer_norm), "norm.", layer_norm)
    return head


def _fill(module: Any, weights: dict[str, Tensor], prefix: str, path: Path) -> None:
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    expected = {name: list(parameter.shape) for name, parameter in module.named_parameters()}
    found = {name: list(tensor.shape) for name, tensor in own.items()}
    if found != expected:
        raise ModelError(f"{path}: the parameters {expected} were expected, found {found}")
    module.load_state_dict(own)


def _text_settings(folder: Path, home: Path, most: int) -> TextSettings:
    """Lengths, case and prompts; newer versions of the library keep the length with the tokeniser."""
    saved: dict[str, Any] = next((read_settings(path) for path in sorted(home.glob("sentence_*_config.json"))), {})
    named = folder / "config_sentence_transformers.json"
    config: dict[str, Any] = read_settings(named) if named.exists() else {}
    prompts: dict[str, str] = config.get("prompts") or {}
    usual = prompts.get(config.get("default_prompt_name") or "") or ""

    def prompt(*names: str) -> str:  # one that is there and empty is meant
        return next((prompts[name] or "" for name in names if name in prompts), usual)

    length = min(int(saved.get("max_seq_length") or most), most)
    return TextSettings(
        passage_length=length,
        query_length=length,
        lower_case=bool(saved.get("do_lower_case")),
        max_characters=None,
        query_prefix=prompt("query"),
        passage_prefix=prompt("document", "passage", "corpus"),
    )
