"""Folders of sentence-transformers: Transformer, Pooling, Dense, LayerNorm, Normalize; lengths, case and prompts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Layout, longest
from ance_ir.models.dense.pooling import POOLINGS
from ance_ir.models.dense.tower import Activation, Head, Tower
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.sentence_transformers import MODEL, MODULE, TRANSFORMER, Table, prompts_of
from ance_ir.models.loading.sentence_transformers import MODULES as MODULE_SETTINGS
from ance_ir.models.loading.weight_files import read_settings, read_value, read_weights
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings

MODULES = "modules.json"
MODEL_SETTINGS = "config_sentence_transformers.json"
ORDER = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
"""The modules that are understood, in the order in which they may come, each at most once."""

ACTIVATIONS: dict[str, Activation] = {"Identity": "identity", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}
"""By the name of the class in torch."""


def open_folder(folder: Path, choices: Choices) -> DenseCheckpoint:
    """Read the folder.

    Args:
        folder: with ``modules.json``.
        choices: a pooling where the folder has no module for it, a similarity where it does not say one.

    Raises:
        ModelError: a module or a setting that is not understood, or files that do not fit.
    """
    paths = _modules(folder)
    home = paths["Transformer"]
    for path in paths.values():
        refuse_partial(path)
    backbone, unused = build_backbone(load_config(home), read_weights(home), str(home))
    head = _head(paths["Dense"], paths.get("LayerNorm")).to(backbone.dtype) if "Dense" in paths else None
    lacking = "Pooling" not in paths and choices.pooling is None
    pooling = _pooling(paths["Pooling"]) if "Pooling" in paths else choices.pooling or "mean"
    if "Normalize" in paths:
        _settings(paths["Normalize"] / "config.json", MODULE_SETTINGS["Normalize"])
    settings = _settings(folder / MODEL_SETTINGS, MODEL)
    chosen = settings.get("similarity_fn_name") or choices.similarity
    normalize = "Normalize" in paths or chosen == "cosine"
    assumed = [*(["mean pooling"] if lacking else []), *(["dot product as similarity"] if not (normalize or chosen) else [])]
    tower = Tower(backbone, pooling=pooling, head=head, normalize=normalize)
    tokenizer = load_tokenizer(home, backbone.config)
    return DenseCheckpoint(
        layout="sentence-transformers",
        query=tower,
        tokenizer=tokenizer,
        settings=_text_settings(folder / MODEL_SETTINGS, settings, home, longest(tokenizer, tower)),
        settings_from="the folder's own files",
        unused=unused,
        assumed=tuple(assumed),
    )


def _modules(folder: Path) -> dict[str, Path]:
    """The folders of the modules, by their classes, in order."""
    listed = read_value(folder / MODULES)
    if not isinstance(listed, list) or not all(
        isinstance(module, dict) and isinstance(module.get("type"), str) and isinstance(module.get("path"), str) for module in listed
    ):
        raise ModelError(f"{folder / MODULES}: expected a list of modules, each with type and path")
    for module in listed:
        MODULE.check(folder / MODULES, module)
        if not module["type"].startswith("sentence_transformers."):
            raise ModelError(f"{folder / MODULES} names {module['type']}, code of the model's own, which is never run")
    modules = [(module["type"].rsplit(".", 1)[-1], folder / module["path"]) for module in listed]
    names = [name for name, _ in modules]
    outside = next((path for _, path in modules if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))), None)
    if outside is not None:
        raise ModelError(f"{folder}: {MODULES} names {outside}, which is not in the folder")
    if names != [name for name in ORDER if name in names] or names[:1] != ["Transformer"]:
        raise ModelError(f"{folder}: its modules are {', '.join(names)}; {', '.join(ORDER)} are understood, in this order")
    if "LayerNorm" in names and "Dense" not in names:
        raise ModelError(f"{folder}: a LayerNorm module is understood after a Dense module only")
    return dict(modules)


def _settings(path: Path, table: Table) -> dict[str, Any]:
    """The settings in a file, checked; none where there is no file."""
    settings = read_settings(path) if path.exists() else {}
    table.check(path, settings)
    return settings


def _module_settings(kind: str, path: Path) -> dict[str, Any]:
    settings = read_settings(path / "config.json")
    MODULE_SETTINGS[kind].check(path / "config.json", settings)
    return settings


def _pooling(path: Path) -> str:
    config = _module_settings("Pooling", path)
    flags = [name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    mode = config.get("pooling_mode")
    modes = mode if isinstance(mode, list) else [mode] if mode is not None else flags
    found = [name for name, pooling in POOLINGS.items() if modes in ([pooling.mode], [pooling.flag])]
    if not found:
        raise ModelError(f"{path}: pooling {modes} is not understood; one of {', '.join(POOLINGS)} is")
    return found[0]


def _head(dense: Path, layer_norm: Path | None) -> Head:
    config, weights = _module_settings("Dense", dense), read_weights(dense)
    named = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = ACTIVATIONS.get(named.rsplit(".", 1)[-1])
    if activation is None:
        raise ModelError(f"{dense}: a Dense module with activation {', '.join(ACTIVATIONS)} is understood, found {named}")
    if "linear.weight" not in weights:
        raise ModelError(f"{dense}: linear.weight is not in the file")
    dimension, width = weights["linear.weight"].shape
    if layer_norm is not None:
        _settings(layer_norm / "config.json", MODULE_SETTINGS["LayerNorm"])
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


def _text_settings(path: Path, config: Mapping[str, Any], home: Path, most: int) -> TextSettings:
    """Lengths, case and prompts; newer versions of the library keep the length with the tokeniser."""
    files = sorted(home.glob("sentence_*_config.json"))
    saved = _settings(files[0], TRANSFORMER) if files else {}
    for_queries, for_passages = ("query",), ("document", "passage", "corpus")
    prompts, usual = prompts_of(path, config, for_queries + for_passages)

    def prompt(*names: str) -> str:  # one that is there and empty is meant
        return next((prompts[name] for name in names if name in prompts), usual)

    def length(name: str) -> int:
        given = next((saved[key] for key in (name, "max_seq_length") if saved.get(key) is not None), most)
        return min(given, most)

    return TextSettings(
        passage_length=length("document_length"),
        query_length=length("query_length"),
        lower_case=bool(saved.get("do_lower_case")),
        max_characters=None,
        query_prefix=prompt(*for_queries),
        passage_prefix=prompt(*for_passages),
    )


LAYOUT = Layout(order=3, recognises=lambda files: files.has(MODULES), open=lambda files, choices: open_folder(files.path, choices))
