"""Files of weights: read without running code from the files, under the names that the model itself has."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.files import read_json
from ance_ir.models.loading.foreign import adapter, contents, other_format
from ance_ir.notices import examples

_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What ``torch.compile``, FSDP and activation checkpointing put into names, wherever they wrap."""

_PREFIXES = ("module.", "model.", "auto_model.")
"""What trainers put before every name: ``DataParallel``, Lightning, sentence-transformers."""

_ADAPTER = re.compile(r"(^|[._])(lora|ia3|adalora|loha|lokr|vera|oft|boft)_|(^|\.)(base_layer|modules_to_save)\.|(^|\.)prompt_embeddings$")
"""Names that PEFT gives to the parts of its adapters."""


SAVED = "modules_to_save.safetensors"
"""Weights that a base lacks and its adapter brings, beside those of the base."""

HEADS = re.compile(r"(classifier|pre_classifier|score|logits_proj|classification_head|head)\..*")
"""What sequence classification adds to a backbone, by the names that the architectures give it."""


def read_adapter(folder: Path) -> dict[str, Tensor]:
    """The weights of an adapter, by the names that PEFT gives them.

    Raises:
        ModelError: there are none, or a file is damaged.
    """
    for file in ("adapter_model.safetensors", "adapter_model.bin"):
        if (folder / file).exists():
            return _read_file(folder / file)
    raise ModelError(f"{folder}: no adapter_model.safetensors, which holds the adapter's weights; download the folder again")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a folder (safetensors, else PyTorch's format; sharded or not) or of a file, on the CPU.

    Names lose what wrappers put before or into them, such as ``module.`` where all have it.

    Raises:
        ModelError: there are none, or a file cannot be read, or holds more than weights, or an adapter.
    """
    weights = own_names(_read(path), path)
    return {**_read_file(path / SAVED), **weights} if (path / SAVED).exists() else weights


def own_names(weights: Mapping[str, Tensor], where: Path | str) -> dict[str, Tensor]:
    """Weights by the names that the model itself gives them.

    Raises:
        ModelError: an adapter is among them, or names that differ by a wrapper alone.
    """
    found = next((name for name in weights if _ADAPTER.search(name)), None)
    if found is not None:
        raise ModelError(f"{adapter(where)} (found {found!r})")
    named = {_WRAPPERS.sub("", name): tensor for name, tensor in weights.items()}
    if len(named) < len(weights):
        raise ModelError(f"{where}: weights whose names differ by a wrapper's alone, such as _orig_mod; keep one of each")
    while named and (prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in named)), None)):
        named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named


def _read(path: Path) -> dict[str, Tensor]:
    if path.is_file():
        return _read_file(path)
    found = next((path / name for name in _FILES if (path / name).exists()), None)
    if found is None:
        other = other_format(path)
        raise ModelError(f"{path}: no weights; " + (f"it holds {other}" if other else f"one of {', '.join(_FILES)} was expected"))
    if found.suffix != ".json":
        return _read_file(found)
    shards = read_settings(found).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
        raise ModelError(f"{found}: expected a weight_map from names of weights to files")
    for shard in sorted(set(shards.values())):
        if Path(shard).name != shard or not (path / shard).is_file():
            raise ModelError(f"{found} names the shard {shard!r}, which is not in the folder; download it")
    weights = {name: tensor for shard in sorted(set(shards.values())) for name, tensor in _read_file(path / shard).items()}
    lacking = sorted(shards.keys() - weights.keys())
    if lacking:
        raise ModelError(
            f"{found} names {len(lacking)} weights that its shards do not hold, {lacking[0]!r} among them; download them again"
        )
    return weights


def _read_file(path: Path) -> dict[str, Tensor]:
    found = contents(path)
    if found is not None:
        raise ModelError(f"{path} is {found}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as error:  # safetensors' own errors, and what torch raises over types and shapes that it cannot have
            raise ModelError(f"{path} cannot be read: {error}") from error
    weights = read_torch(path)
    if not isinstance(weights, Mapping) or not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        found = type(weights).__name__
        if isinstance(weights, Mapping):
            found = examples(name for name, value in weights.items() if not isinstance(value, Tensor)) or "no weights"
        raise ModelError(f"{path}: weights by name were expected, and nothing else; found {found}")
    return {str(name): tensor for name, tensor in weights.items()}


def read_torch(path: Path) -> Any:
    """The content of a file that ``torch.save`` wrote, if it is tensors and plain values; nothing else is unpickled.

    Raises:
        ModelError: the file is damaged, or would run code.
    """
    found = contents(path) or _compressed(path)
    if found is not None:
        raise ModelError(f"{path} is {found}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)|getattr|__reduce__|REDUCE", str(error))
        what = f" ({named[1] or named[0]})" if named else ""
        raise ModelError(
            f"{path} is damaged, or holds more than tensors and plain values{what}, and reading that could run any code; it was refused. "
            "If you trust where it comes from, open it there and save its weights as safetensors"
        ) from None
    except Exception as error:  # a damaged file can make the unpickler raise anything
        raise ModelError(f"{path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from error


def _compressed(path: Path) -> str | None:
    """A description of a zip file that PyTorch did not write: its own are never compressed, so none grows in memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None
    if not any(entry.filename.endswith(("/data.pkl", "/constants.pkl")) for entry in entries):
        return "a zip archive, not a file of weights: unpack it first"
    if (
        any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        or sum(entry.file_size for entry in entries) > path.stat().st_size
    ):
        return "compressed, as PyTorch's files never are; it was refused"
    return None


def read_settings(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint.

    Raises:
        ModelError: the file is missing, or is something else.
    """
    value = read_value(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected JSON, an object of settings, not a {type(value).__name__}")
    return value


def read_value(path: Path) -> Any:
    """The value of a JSON file of a checkpoint.

    Raises:
        ModelError: it is missing, or is not JSON.
    """
    if not path.exists():
        raise ModelError(f"{path} is missing; download the folder again, or take a complete one")
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        found = contents(path)
        raise ModelError(f"{path} is {found}" if found else f"{path}: expected JSON, {error}") from error


def architectures(folder: Path) -> list[str]:
    """The classes that a folder's ``config.json`` names."""
    named = read_settings(folder / "config.json").get("architectures")
    return [str(name) for name in named] if isinstance(named, list) else []


def pools(folder: Path) -> bool:
    """Whether a folder of sentence-transformers makes a vector of a text's tokens."""
    modules = folder / "modules.json"
    if not modules.exists():
        return False
    listed = modules.read_text(encoding="utf-8", errors="replace")
    return "Pooling" in listed or "StaticEmbedding" in listed
