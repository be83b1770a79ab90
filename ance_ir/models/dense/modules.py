"""The modules of sentence-transformers' folders of dense encoders: Transformer and Pooling, or StaticEmbedding, and any chain of Dense,
LayerNorm, Dropout, Normalize; ``Router`` folders have such a list for queries and one for documents.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ance_ir.errors import ModelError
from ance_ir.models.dense.pooling import POOLINGS
from ance_ir.models.dense.tower import Activation, Chain, Cut, Head, Step, UnitLength
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.sentence_transformers import MODULE, Table, read_modules
from ance_ir.models.loading.sentence_transformers import MODULES as MODULE_SETTINGS
from ance_ir.models.loading.weight_files import read_settings, read_weights

MODULES = "modules.json"
ROUTER = "router_config.json"
ROUTES = ("query", "document")
FIRST = ("Transformer", "Pooling")
"""The modules at the beginning; the second may be missing."""
STATIC = "StaticEmbedding"
"""The module that stands in their place where tokens have vectors of their own."""
STEPS = ("Dense", "LayerNorm", "Dropout", "Normalize")
"""Those after them, in any order and number."""

ACTIVATIONS: dict[str, Activation] = {"Identity": "identity", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}
"""By the name of the class in torch."""


Modules = list[tuple[str, Path]]
"""Classes and folders, in order."""


def read_routes(folder: Path) -> Mapping[str, Modules]:
    """The modules of a folder: one list under ``""``, or those of ``ROUTES``.

    Raises:
        ModelError: a module that is not understood, or is not in the folder.
    """
    listed = read_modules(folder, MODULE)
    modules = [(_class(module["type"], folder / MODULES), folder / module["path"]) for module in listed]
    routes = {"": modules}
    if modules and modules[0][0] == "Router":
        routes = {route: [*own, *modules[1:]] for route, own in _read_router(modules[0][1]).items()}
    for own in routes.values():
        _check(own, folder)
    return routes


def _class(name: str, where: Path) -> str:
    if not name.startswith("sentence_transformers."):
        raise ModelError(f"{where} names {name}, code of the model's own, which is never run")
    return name.rsplit(".", 1)[-1]


def _read_router(folder: Path) -> dict[str, Modules]:
    path = folder / ROUTER
    config = read_settings(path)
    types, structure, parameters = (config.get(name) or {} for name in ("types", "structure", "parameters"))
    if not all(isinstance(part, dict) for part in (types, structure, parameters)) or set(structure) != {*ROUTES}:
        raise ModelError(f"{path}: routes for {' and '.join(ROUTES)} are understood, found {', '.join(map(str, structure)) or 'none'}")
    if parameters.get("route_mappings"):
        raise ModelError(f"{path}: route_mappings, which choose a route by task, are not understood")
    try:
        return {route: [(_class(str(types[name]), path), folder / name) for name in structure[route]] for route in ROUTES}
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: types and structure do not fit together: {error}") from None


def _check(modules: Modules, folder: Path) -> None:
    outside = next((path for _, path in modules if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))), None)
    if outside is not None:
        raise ModelError(f"{folder}: {MODULES} names {outside}, which is not in the folder")
    names = [name for name, _ in modules]
    rest = names[2:] if names[:2] == [*FIRST] else names[1:]
    if names[:1] not in ([FIRST[0]], [STATIC]) or any(name not in STEPS for name in rest):
        raise ModelError(
            f"{folder}: its modules are {', '.join(names)}; {' and '.join(FIRST)}, or {STATIC}, are understood, and after them "
            f"{', '.join(STEPS)}"
        )
    for _, path in modules:
        refuse_partial(path)


def read_steps(modules: Modules) -> list[Step]:
    """What comes after the pooling; see ``STEPS``.

    Raises:
        ModelError: a setting that is not understood, or weights that do not fit.
    """
    return [step for kind, path in modules for step in _READERS[kind](path)]


def checked(path: Path, table: Table) -> dict[str, Any]:
    """The settings in a file, checked; none where there is no file."""
    settings = read_settings(path) if path.exists() else {}
    table.check(path, settings)
    return settings


def _module_settings(kind: str, path: Path) -> dict[str, Any]:
    settings = read_settings(path / "config.json")
    MODULE_SETTINGS[kind].check(path / "config.json", settings)
    return settings


def read_pooling(path: Path) -> str:
    """The pooling of a module's folder."""
    config = _module_settings("Pooling", path)
    flags = [name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    mode = config.get("pooling_mode")
    modes = mode if isinstance(mode, list) else [mode] if mode is not None else sorted(flags, key=_ORDER_OF_FLAGS.index)
    names = {key: name for name, pooling in POOLINGS.items() for key in (pooling.mode or name, pooling.flag)}
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
    checked(path / "config.json", MODULE_SETTINGS["LayerNorm"])
    weights = read_weights(path)
    norm = nn.LayerNorm(len(weights.get("norm.weight", ())))
    _fill(norm, weights, "norm.", path)
    return [norm]


def _dropout(path: Path) -> list[Step]:
    """Nothing: there is none when a text is encoded, and training here has the backbone's own."""
    checked(path / "config.json", MODULE_SETTINGS["Dropout"])
    return []


def _normalize(path: Path) -> list[Step]:
    checked(path / "config.json", MODULE_SETTINGS["Normalize"])
    return [UnitLength()]


_READERS = dict(zip(STEPS, (_dense, _layer_norm, _dropout, _normalize), strict=True))


def joined(steps: list[Step], width: int, folder: Path) -> Head | Chain | None:
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
