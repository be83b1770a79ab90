"""Adapters in models: put in, saved, loaded, merged; by the package peft.

An adapter is computed beside its base, as peft does: in a base in bfloat16 most of its small changes would be rounded away if they were
added to the weights. ``merged`` adds them on request.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.errors import ModelError, UsageError
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.loading.adapters import Adapter
from ance_ir.models.loading.weights import some
from ance_ir.optional import optional

_NAME = "default"
ALL_LINEAR = "all-linear"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lora:
    """A new adapter (Hu et al. 2022): beside a weight W, alpha/r · B A, of which B begins at 0.

    Attributes:
        r: rows of A, and columns of B.
        alpha: see above.
        targets: the ends of the names of the layers that get one, ``("q_proj", "v_proj")``, or all linear ones of the backbone.
        dropout: before A, while training.
    """

    r: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = (ALL_LINEAR,)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha < 1:
            raise UsageError(f"r and alpha of an adapter are at least 1, not {self.r} and {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"an adapter's dropout is at least 0 and below 1, not {self.dropout}")
        if not self.targets or "" in self.targets:
            raise UsageError(f"an adapter's targets are {ALL_LINEAR} or names of layers such as q_proj+v_proj")

    @classmethod
    def parse(cls, text: str) -> Lora:
        """From ``r=16,alpha=32,targets=q_proj+v_proj``; what is left out has its default.

        Raises:
            UsageError: there is no such setting, or it cannot have that value.
        """
        values: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            known = [field.name for field in dataclasses.fields(cls)]
            number = re.fullmatch(r"\d{1,6}" if name in ("r", "alpha") else r"\d*\.?\d+", value)
            if not equals or name not in known or (name != "targets" and not number):
                raise UsageError(f"an adapter is such as r=16,alpha=32,targets={ALL_LINEAR}, with {', '.join(known)}, not {part.strip()!r}")
            values[name] = tuple(value.split("+")) if name == "targets" else float(value) if name == "dropout" else int(value)
        return cls(**values)


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
    """Put an adapter into its base, which is frozen.

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
    with torch.no_grad():
        for name, tensor in own.items():
            if name not in changes:
                model.get_parameter(name).copy_(tensor)
    library.inject_adapter_in_model(config, model, _NAME, state_dict=changes)
    _in_float32(model)
    _load(model, changes, adapter.folder)
    model.requires_grad_(False)


def put_in_new(lora: Lora, model: PreTrainedModel, seed: int) -> None:
    """Put a new adapter into a model; it alone is trainable.

    Raises:
        UsageError: no layer is called like one of the targets.
        MissingDependencyError: peft is not installed.
    """
    library = peft()
    linear = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
    names = {name for name, module in model.named_modules() if name and not isinstance(module, nn.ModuleList)}
    for target in lora.targets:
        if target != ALL_LINEAR and not any(name == target or name.endswith(f".{target}") for name in names):
            raise UsageError(f"no layer of the {model.config.model_type} is called {target!r}; its linear layers are {', '.join(linear)}")
    output = model.get_output_embeddings()
    if output is not None and any(module is output for name, module in model.named_modules() if name.rpartition(".")[2] in lora.targets):
        raise UsageError("the output layer of a language model gets no adapter; name other targets")
    targets: Any = ALL_LINEAR if ALL_LINEAR in lora.targets else list(lora.targets)
    config = library.LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets)
    model.requires_grad_(False)
    with seeded(seed):
        library.inject_adapter_in_model(config, model, _NAME)
    _in_float32(model)
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
    named = {f"base_model.model.{name}": value.detach().cpu().contiguous() for name, value in found.items()}
    save_file(named, folder / "adapter_model.safetensors")


def load(model: PreTrainedModel, adapter: Adapter) -> None:
    """Give the adapter in a model other weights.

    Raises:
        ModelError: the folder's is another adapter.
    """
    known = model.state_dict()
    _load(model, {_place(name, model, known): tensor for name, tensor in adapter.weights.items()}, adapter.folder)


def merged(model: nn.Module) -> None:
    """Add the adapter to the weights, in place; no adapter is left."""
    layers = peft().tuners.tuners_utils.BaseTunerLayer
    for name, module in list(model.named_modules()):
        if isinstance(module, layers):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, module.get_base_layer())
    for module in model.modules():
        module.__dict__.pop("peft_config", None)


def _load(model: PreTrainedModel, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        result = peft().set_peft_model_state_dict(model, weights, adapter_name=_NAME)
    except RuntimeError as error:
        raise ModelError(f"{folder}: the adapter does not fit its base: {' '.join(str(error).split())}") from error
    missing = sorted(name for name in result.missing_keys if ".lora_" in name)
    if missing or result.unexpected_keys:
        raise ModelError(f"{folder}: the adapter does not fit: {some(missing + sorted(result.unexpected_keys))}")


def _in_float32(model: nn.Module) -> None:
    """As peft does for adapters over half precision."""
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.float()


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
