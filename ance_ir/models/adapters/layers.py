"""Adapters in models: put in, saved, loaded, merged; by the package peft.

An adapter is computed beside its base, as peft does: in a base in bfloat16 most of its small changes would be rounded away if they were
added to the weights. ``merge`` adds them on request, ``merged`` for a while.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ance_ir.errors import ModelError, UsageError
from ance_ir.files import as_path, temporary_folder
from ance_ir.models.adapters.folders import Adapter
from ance_ir.models.adapters.lora import ALL_LINEAR, Lora
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.loading.weights import some
from ance_ir.optional import optional

_NAME = "default"
_LINEAR = (nn.Linear, Conv1D)
"""What peft takes for linear layers."""


def peft() -> Any:
    """The package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return optional("peft", needed_for="adapters", remedy="pip install 'ance_ir[lora]'")


def is_adapted(model: nn.Module) -> bool:
    """Whether there is an adapter in a model."""
    return any(hasattr(module, "peft_config") for module in model.modules())


def put_in(adapter: Adapter, model: PreTrainedModel) -> None:
    """Put an adapter into its base; it is not trained further, and the base, once it is merged, may be.

    Raises:
        ModelError: the adapter has weights for which the base has no place.
        MissingDependencyError: peft is not installed.
    """
    library = peft()
    config = library.PeftConfig.from_pretrained(str(adapter.folder))
    config.modules_to_save, config.inference_mode = None, True
    known = model.state_dict()
    own = {_place(name, model, known): tensor for name, tensor in adapter.weights.items()}
    changes = {name: tensor for name, tensor in own.items() if ".lora_" in name}
    lost = sorted(name for name in changes if _layer(model, name) is None)
    lost += sorted(name for name in own if name not in changes and name not in known)
    if lost or not changes:
        raise ModelError(f"{adapter.folder}: the adapter is of another base: {some(lost) or 'no LoRA weights'} have no place in it")
    if config.exclude_modules:  # the names of the weights say which layers have an adapter, and peft warns where it sees less
        config.target_modules, config.exclude_modules = sorted({name.partition(".lora_")[0] for name in changes}), None
    with torch.no_grad():
        for name, tensor in own.items():
            if name not in changes:
                model.get_parameter(name).copy_(tensor)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    library.inject_adapter_in_model(config, model, _NAME, state_dict=changes)
    _settle(model)
    _load(model, changes, adapter.folder)
    model.requires_grad_(False)
    for weight in trained:
        weight.requires_grad_(True)


def put_in_new(lora: Lora, model: PreTrainedModel, seed: int) -> None:
    """Put a new adapter into a model; it alone is trainable. Layers that are never trained, such as an encoder's pooler, get none.

    Raises:
        UsageError: the model has no linear layers, or none of such a rank, or a target is the name of something else, or of nothing.
        MissingDependencyError: peft is not installed.
    """
    library = peft()
    kind, output = model.config.model_type, model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, _LINEAR) and module is not output}
    used = {name for name, module in linear.items() if any(weight.requires_grad for weight in module.parameters())}
    if not used:
        raise UsageError(f"an adapter is for linear layers, and the {kind} has none")
    if lora.r > (most := max(min(linear[name].weight.shape) for name in used)):
        raise UsageError(f"an adapter's r is at most the rank of the largest layer, {most} in this {kind}, not {lora.r}")
    everywhere = lora.targets == (ALL_LINEAR,)
    chosen = set(linear) if everywhere else set()
    for target in () if everywhere else lora.targets:
        named = {name: module for name, module in model.named_modules() if f".{name}".endswith(f".{target}")}
        chosen |= named.keys()
        if output is not None and any(module is output for module in named.values()):
            raise UsageError("the output layer of a language model gets no adapter; name other targets")
        if not named.keys() & used or named.keys() - linear.keys():
            shown = ", ".join(sorted({name.rpartition(".")[2] for name in used}))
            raise UsageError(f"no linear layer of the {kind} is called {target!r}; its linear layers are {shown}")
    config = library.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=ALL_LINEAR if everywhere else list(lora.targets),
        exclude_modules=sorted(chosen - used) or None,
    )
    model.requires_grad_(False)
    with seeded(seed):
        library.inject_adapter_in_model(config, model, _NAME)
    _settle(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)


def write(model: PreTrainedModel, folder: Path, base: str) -> None:
    """Write the adapter in a model as peft opens it.

    Args:
        model: with an adapter.
        folder: to write to.
        base: the name of its base.
    """
    config = copy.deepcopy(model.peft_config[_NAME])
    config.base_model_name_or_path, config.inference_mode = base, True
    config.save_pretrained(str(folder))
    found = peft().get_peft_model_state_dict(model, adapter_name=_NAME)
    named = {f"base_model.model.{name}": value.detach().cpu().contiguous() for name, value in found.items() if ".lora_" in name}
    save_file(named, folder / "adapter_model.safetensors")


def load(model: PreTrainedModel, adapter: Adapter) -> None:
    """Give the adapter in a model other weights.

    Raises:
        ModelError: the folder's is another adapter.
    """
    known = model.state_dict()
    _load(model, {_place(name, model, known): tensor for name, tensor in adapter.weights.items()}, adapter.folder)


def merge(model: nn.Module) -> None:
    """Add the adapter to the weights, in place; no adapter is left."""
    for name, layer in _adapted_layers(model).items():
        layer.merge()
        _put(model, name, layer.get_base_layer())
    for module in model.modules():
        module.__dict__.pop("peft_config", None)


@contextlib.contextmanager
def merged(model: nn.Module, path: Path | str) -> Iterator[None]:
    """Have the adapter in the weights meanwhile, if there is one, in place: a copy of a large model may not fit into memory.

    The weights that an adapter changes are kept in files, from which they are restored to the bit.

    Args:
        model: perhaps with an adapter.
        path: next to which there is room for these files.
    """
    if not is_adapted(model):
        yield
        return
    path = as_path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = _adapted_layers(model)
    configs = {name: module.peft_config for name, module in model.named_modules() if "peft_config" in module.__dict__}
    with temporary_folder(path) as folder:
        for number, layer in enumerate(layers.values()):
            save_file({name: weight.contiguous() for name, weight in layer.get_base_layer().state_dict().items()}, folder / str(number))
        try:
            merge(model)
            yield
        finally:
            for number, (name, layer) in enumerate(layers.items()):
                _put(model, name, layer)
                layer.get_base_layer().load_state_dict(load_file(folder / str(number)))
                layer.merged_adapters.clear()
            for name, config in configs.items():
                model.get_submodule(name).peft_config = config


def _adapted_layers(model: nn.Module) -> dict[str, Any]:
    """The layers of a model that have an adapter, by their names."""
    kind = peft().tuners.tuners_utils.BaseTunerLayer
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)


def _load(model: PreTrainedModel, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        result = peft().set_peft_model_state_dict(model, weights, adapter_name=_NAME)
    except RuntimeError as error:
        raise ModelError(f"{folder}: the adapter does not fit its base: {' '.join(str(error).split())}") from error
    missing = sorted(name for name in result.missing_keys if ".lora_" in name)
    if missing or result.unexpected_keys:
        raise ModelError(f"{folder}: the adapter does not fit: {some(missing + sorted(result.unexpected_keys))}")


def _settle(model: nn.Module) -> None:
    """Have the adapter in float32, as peft does over half precision, and its scale among what hashes of weights are over."""
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.float()
    for layer in _adapted_layers(model).values():
        layer.register_buffer("adapter_scale", torch.tensor(layer.scaling[_NAME], dtype=torch.float64))


def _layer(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name.partition(".lora_")[0])
    except AttributeError:
        return None


def _place(name: str, model: PreTrainedModel, known: Collection[str]) -> str:
    """A name as the model has it: of a backbone alone, or of one in a model with a head."""
    prefix = f"{model.base_model_prefix}."
    for place in (name, name.removeprefix(prefix), prefix + name):
        if place in known or (".lora_" in place and _layer(model, place) is not None):
            return place
    return name
