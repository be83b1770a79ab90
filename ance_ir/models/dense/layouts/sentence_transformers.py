"""Folders of sentence-transformers: Transformer, Pooling, and any chain of Dense, LayerNorm, Dropout, Normalize; lengths, case, prompts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Layout, longest
from ance_ir.models.dense.pooling import POOLINGS, pooling_names
from ance_ir.models.dense.tower import Activation, Chain, Cut, Head, Step, Tower, UnitLength
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.sentence_transformers import MODEL, MODULE, TRANSFORMER, Table, prompts_of
from ance_ir.models.loading.sentence_transformers import MODULES as MODULE_SETTINGS
from ance_ir.models.loading.weight_files import read_settings, read_value, read_weights
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings

MODULES = "modules.json"
MODEL_SETTINGS = "config_sentence_transformers.json"
FIRST = ("Transformer", "Pooling")
"""The modules at the beginning; the second may be missing."""
STEPS = ("Dense", "LayerNorm", "Dropout", "Normalize")
"""Those after them, in any order and number."""

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
    modules = _modules(folder)
    for _, path in modules:
        refuse_partial(path)
    (_, home), *rest = modules
    backbone, unused = build_backbone(load_config(home), read_weights(home), str(home))
    lacking = not rest or rest[0][0] != "Pooling"
    pooling = choices.pooling or "mean" if lacking else _pooling(rest.pop(0)[1])
    steps = [step for kind, path in rest for step in _STEPS[kind](path)]
    settings = _settings(folder / MODEL_SETTINGS, MODEL)
    chosen = settings.get("similarity_fn_name") or choices.similarity
    if steps and isinstance(steps[-1], UnitLength) and not (settings.get("truncate_dim") and chosen == "dot"):
        steps.pop()
        chosen = "cosine"
    if settings.get("truncate_dim"):
        steps.append(Cut(settings["truncate_dim"]))
    normalize = chosen == "cosine"
    head = _joined(steps, int(backbone.config.hidden_size) * len(pooling_names(pooling)), folder)
    unsaid = lacking and choices.pooling is None
    assumed = [*(["mean pooling"] if unsaid else []), *(["dot product as similarity"] if not (normalize or chosen) else [])]
    tower = Tower(backbone, pooling=pooling, head=None if head is None else head.to(backbone.dtype), normalize=normalize)
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


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """The modules in order: their classes and folders."""
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
    outside = next((path for _, path in modules if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))), None)
    if outside is not None:
        raise ModelError(f"{folder}: {MODULES} names {outside}, which is not in the folder")
    names = [name for name, _ in modules]
    rest = names[2:] if names[:2] == [*FIRST] else names[1:]
    if names[:1] != [FIRST[0]] or any(name not in STEPS for name in rest):
        raise ModelError(
            f"{folder}: its modules are {', '.join(names)}; {' and '.join(FIRST)} are understood, and after them {', '.join(STEPS)}"
        )
    return modules


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
    modes = mode if isinstance(mode, list) else [mode] if mode is not None else sorted(flags, key=_ORDER_OF_FLAGS.index)
    names = {key: name for name, pooling in POOLINGS.items() for key in (pooling.mode, pooling.flag)}
    unknown = [one for one in modes if one not in names]
    if unknown or not modes:
        raise ModelError(f"{path}: pooling {unknown or modes} is not understood; {', '.join(POOLINGS)} are")
    return "+".join(names[one] for one in modes)


_ORDER_OF_FLAGS = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
"""In which sentence-transformers joins the vectors of several poolings that flags name."""


def _dense(path: Path) -> list[Step]:
    config, weights = _module_settings("Dense", path), read_weights(path)
    named = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = ACTIVATIONS.get(named.rsplit(".", 1)[-1])
    if activation is None:
        raise ModelError(f"{path}: a Dense module with activation {', '.join(ACTIVATIONS)} is understood, found {named}")
    if "linear.weight" not in weights:
        raise ModelError(f"{path}: linear.weight is not in the file")
    dimension, width = weights["linear.weight"].shape
    residual = bool(config.get("use_residual"))
    head = Head(width, dimension, bias=config.get("bias", True), activation=activation, norm=False, residual=residual)
    _fill(head, weights, "", path)
    return [head]


def _layer_norm(path: Path) -> list[Step]:
    _settings(path / "config.json", MODULE_SETTINGS["LayerNorm"])
    weights = read_weights(path)
    norm = nn.LayerNorm(len(weights.get("norm.weight", ())))
    _fill(norm, weights, "norm.", path)
    return [norm]


def _dropout(path: Path) -> list[Step]:
    """Nothing: there is none when a text is encoded, and training here has the backbone's own."""
    _settings(path / "config.json", MODULE_SETTINGS["Dropout"])
    return []


def _normalize(path: Path) -> list[Step]:
    _settings(path / "config.json", MODULE_SETTINGS["Normalize"])
    return [UnitLength()]


_STEPS = dict(zip(STEPS, (_dense, _layer_norm, _dropout, _normalize), strict=True))


def _joined(steps: list[Step], width: int, folder: Path) -> Head | Chain | None:
    """The steps as one head where they are one: a Dense module, with a LayerNorm after it or without."""
    joined: list[Step] = []
    before = width
    for step in steps:
        wanted = _takes(step, before)
        if wanted != before or (isinstance(step, Cut) and step.dimension > before):
            raise ModelError(f"{folder}: vectors of {before} dimensions come to a module that takes {wanted}: {step}")
        last = joined[-1] if joined else None
        if isinstance(step, nn.LayerNorm) and isinstance(last, Head) and last.norm is None:
            last.norm = step
        else:
            joined.append(step)
        before = step.dimension if isinstance(step, Head | Cut) else before
    return None if not joined else joined[0] if len(joined) == 1 and isinstance(joined[0], Head) else Chain(width, *joined)


def _takes(step: Step, given: int) -> int:
    """The dimensions of vectors that a step takes."""
    if isinstance(step, Head):
        return step.linear.in_features
    return int(step.normalized_shape[0]) if isinstance(step, nn.LayerNorm) else given


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
