"""Hashes of weights, by which models are known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Hash (128 bits, hexadecimal) of the names, types and values of weights, independent of their order."""
    return hash_parts([weights])[0]


def hash_parts(parts: Sequence[Mapping[str, Tensor]]) -> list[str]:
    """For each part the hash of its weights and of those of the parts before it; each is read once."""
    digest, found = hashlib.blake2b(digest_size=16), []
    for part in parts:
        for name, tensor in sorted(part.items()):
            digest.update(_head(name, tensor))
            digest.update(_bytes(tensor.detach()))
        found.append(digest.hexdigest())
    return found


def state_of(weights: Mapping[str, Tensor]) -> str:
    """Tells weights from what they were before, in this process: a hash of the sums of their rows and of their columns, each eight bytes
    read as a number. Where numbers change places within a row, sums of columns change.

    It takes a small part of the time of ``hash_weights``, and of weights on a GPU only the sums are fetched.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(weights.items()):
        digest.update(_head(name, tensor))
        digest.update(_bytes(_sums(tensor.detach().contiguous())))
    return digest.hexdigest()


_made: WeakKeyDictionary[nn.Module, tuple[str, Mapping[str, str]]] = WeakKeyDictionary()


def while_unchanged(model: nn.Module, make: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """What ``make`` gave for a model; it is called again once weights of the model have changed."""
    state = state_of(model.state_dict())
    before, made = _made.get(model, ("", {}))
    if before != state:
        made = make()
        _made[model] = (state, made)
    return made


def _sums(tensor: Tensor) -> Tensor:
    """Of each row and column; the tensor itself where it has none, or they are not so many times eight bytes."""
    if tensor.ndim < 2 or not tensor.numel() or tensor.shape[-1] * tensor.itemsize % 8:
        return tensor
    aligned = tensor if tensor.storage_offset() * tensor.itemsize % 8 == 0 else tensor.clone()
    words_RW: Any = aligned.reshape(-1).view(torch.int64).reshape(-1, tensor.shape[-1] * tensor.itemsize // 8)
    if tensor.device.type == "cpu":
        words_RW = words_RW.numpy()  # which adds whole numbers ten times as fast
    return torch.cat([torch.as_tensor(words_RW.sum(axis)) for axis in (1, 0)])


def _head(name: str, tensor: Tensor) -> bytes:
    return f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()


def _bytes(tensor: Tensor) -> Any:
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b""
