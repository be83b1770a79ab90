"""The bytes of the tensors that live while something is computed, found without computing it."""

from __future__ import annotations

import collections
import contextlib
import math
import time
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_GRANULE = {"cpu": 64, "cuda": 512}
"""What PyTorch's allocators round sizes up to, bytes."""


class Storages(TorchDispatchMode):
    """Follows inside a ``FakeTensorMode`` which tensors live, by their storages. A number that is read out of a tensor is 1, a bool false.

    Args:
        seconds: of the processor's time, after which it is given up.

    Attributes:
        live: bytes by kind; what has no kind is under ``"other"``.
        peak: the same at the moment since the last ``reset`` when most bytes lived.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: collections.Counter[str] = collections.Counter()
        self.peak: collections.Counter[str] = collections.Counter()
        self._known: dict[int, tuple[str, int]] = {}
        self._until = time.thread_time() + seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, and follow what comes out."""
        if time.thread_time() > self._until:
            raise TimeoutError("it would take too long")
        if func is torch.ops.aten._local_scalar_dense.default:
            dtype = args[0].dtype
            return 1.0 if dtype.is_floating_point else dtype != torch.bool and 1
        result = func(*args, **(kwargs or {}))
        for found in tree_leaves(result):
            if isinstance(found, FakeTensor):
                self.follow(found)
        return result

    def follow(self, tensor: Tensor, kind: str | None = None) -> None:
        """Count a tensor until it is gone, from now on as one of this kind."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            if kind is None:
                return
            before, size = self._known[key]
            self.live[before] -= size
        else:
            granule = _GRANULE.get(tensor.device.type, 1)
            size = -(-storage.nbytes() // granule) * granule
            weakref.finalize(storage, self._gone, key)
        self._known[key] = (kind or "other", size)
        self.live[kind or "other"] += size
        if self.live.total() > self.peak.total():
            self.peak = self.live.copy()

    def reset(self) -> None:
        """Begin to look for the peak."""
        self.peak = self.live.copy()

    def _gone(self, key: int) -> None:
        kind, size = self._known.pop(key)
        self.live[kind] -= size


@contextlib.contextmanager
def weightless(model: nn.Module, seconds: float = math.inf) -> Iterator[Storages]:
    """Give a model weights that have a shape, a type and a device but no numbers, and follow what is computed with them.

    Weights are of the kind ``"weights"``, their gradients ``"gradients"``. Afterwards the model has its own weights again.

    Args:
        model: whose weights they are.
        seconds: of the processor's time, after which it is given up.

    Raises:
        TimeoutError: it was.
    """
    places: list[tuple[dict[str, Any], str, Tensor]] = [
        (held, name, tensor)
        for module in model.modules()
        for held in (module.__dict__["_parameters"], module.__dict__["_buffers"])
        for name, tensor in held.items()
        if tensor is not None
    ]
    storages = Storages(seconds)
    with FakeTensorMode(allow_non_fake_inputs=True), storages:
        made: dict[int, Tensor] = {}
        try:
            for held, name, tensor in places:
                if id(tensor) not in made:
                    made[id(tensor)] = _like(tensor, storages)
                held[name] = made[id(tensor)]
            yield storages
        finally:
            for held, name, tensor in places:
                held[name] = tensor


def _like(tensor: Tensor, storages: Storages) -> Tensor:
    made = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    storages.follow(made, "weights")
    if not isinstance(tensor, nn.Parameter):
        return made
    weight = nn.Parameter(made, requires_grad=tensor.requires_grad)
    if weight.requires_grad:
        weight.register_post_accumulate_grad_hook(lambda held: storages.follow(held.grad, "gradients"))
    return weight
