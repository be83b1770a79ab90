"""The processes that train one model together, as torchrun starts them; by default a single one.

The texts of a batch are divided among the processes and their vectors exchanged. Every process computes the loss of the whole batch, whose
gradients reach its own texts alone, and the gradients of all are summed. So each text is encoded once, in-batch negatives come from all
processes, and the result does not depend on how many there are. ``DistributedDataParallel`` expects one forward and one backward
pass over the whole model, which a step in several parts (of similar lengths, or of GradCache) does not have; the sum is the same.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ance_ir.errors import UsageError
from ance_ir.ragged import rows_of, starts_of

T = TypeVar("T")

_PATIENCE = datetime.timedelta(days=7)
"""How long processes wait for each other: while one mines, the others wait. torchrun ends all when one fails."""


class World:
    """A single process that trains alone.

    Attributes:
        rank: the number of this process.
        size: how many there are.
    """

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, decides and reports for all."""
        return self.rank == 0

    def dealt(self, count: int) -> np.ndarray:
        """Numbers of the things, out of ``count``, that this process works on, int64, ascending."""
        return np.arange(self.rank, count, self.size)

    def gather(self, rows: Tensor, counts: np.ndarray) -> Tensor:
        """The rows of all things, from those of this process's things; gradients reach its own.

        Args:
            rows: ``[own, …]``, thing by thing.
            counts: number of rows of each thing, of all processes, int64.

        Returns:
            ``[counts.sum(), …]``, in the order of the things.
        """
        return rows

    def gather_counts(self, counts: np.ndarray, total: int) -> np.ndarray:
        """A number for each of ``total`` things, int64, from those of this process's things."""
        return counts.astype(np.int64)

    def sum(self, value: int) -> int:
        """The sum over all processes."""
        return value

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes, in each of them."""

    def broadcast(self, value: int) -> int:
        """The leading process's value."""
        return value

    def wait(self) -> None:
        """Wait until all processes are here."""

    def leave(self) -> None:
        """Leave the group, at the end."""

    def lead_first(self, make: Callable[[], T]) -> T:
        """Call ``make`` in all processes, in the leading one first; the others find its result in the cache."""
        if self.leads:
            made = make()
        self.wait()
        return made if self.leads else make()


ALONE = World()
"""The default: no other processes."""


class RehearsedWorld(World):
    """Stands in for several processes where nothing is computed; what the others would send takes the memory that it takes.

    Args:
        size: how many there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def gather(self, rows: Tensor, counts: np.ndarray) -> Tensor:
        """See ``World.gather``."""
        return torch.cat([rows, rows.new_zeros((int(counts.sum()) - len(rows), *rows.shape[1:]))])

    def gather_counts(self, counts: np.ndarray, total: int) -> np.ndarray:
        """See ``World.gather_counts``."""
        return np.resize(counts.astype(np.int64), total)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """See ``World.sum_gradients``."""
        _together([parameter.grad for parameter in parameters if parameter.grad is not None], lambda flat: flat)


def _together(gradients: Sequence[Tensor], change: Callable[[Tensor], Tensor]) -> None:
    """Change gradients, one after the other in one tensor."""
    changed = change(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, part in zip(gradients, changed.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class TorchWorld(World):
    """One of several processes, joined by ``torch.distributed``.

    Args:
        device: of this process's model; NCCL connects GPUs, Gloo processors.
    """

    def __init__(self, device: torch.device) -> None:
        if not dist.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._device = device

    def gather(self, rows: Tensor, counts: np.ndarray) -> Tensor:
        """See ``World.gather``."""
        ours = rows.device
        rows = rows.to(self._device)
        sizes = [int(counts[rank :: self.size].sum()) for rank in range(self.size)]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded = torch.cat([rows, padded[len(rows) :]])
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded.detach().contiguous())
        parts[self.rank] = padded
        first = np.empty_like(counts)
        for rank in range(self.size):  # where a thing's rows begin in what its process sent
            sent = counts[rank :: self.size]
            first[rank :: self.size] = rank * len(padded) + starts_of(sent)
        return torch.cat(parts)[torch.from_numpy(rows_of(first, counts)).to(self._device)].to(ours)

    def gather_counts(self, counts: np.ndarray, total: int) -> np.ndarray:
        """See ``World.gather_counts``."""
        return self.gather(torch.from_numpy(counts.astype(np.int64)), np.ones(total, dtype=np.int64)).numpy()

    def sum(self, value: int) -> int:
        """See ``World.sum``."""
        return int(self._reduced(torch.tensor([value], device=self._device)))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """See ``World.sum_gradients``; a weight that no process used still has none."""
        parameters = list(parameters)
        used = self._reduced(torch.tensor([int(parameter.grad is not None) for parameter in parameters], device=self._device))
        parameters = [parameter for parameter, processes in zip(parameters, used.tolist(), strict=True) if processes]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _together([parameter.grad for parameter in parameters if parameter.grad is not None], self._reduced)

    def broadcast(self, value: int) -> int:
        """See ``World.broadcast``."""
        shared = torch.tensor([value], device=self._device)
        dist.broadcast(shared, 0)
        return int(shared)

    def wait(self) -> None:
        """See ``World.wait``."""
        self.sum(0)

    def leave(self) -> None:
        """See ``World.leave``."""
        dist.destroy_process_group()

    def _reduced(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor)
        return tensor


def join_world(device: torch.device) -> World:
    """The processes that torchrun started with this one; a single one if it did not."""
    return TorchWorld(device) if started_together() > 1 else ALONE


def started_together() -> int:
    """How many processes torchrun started, this one included; 1 if it did not start it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_device(name: str | None) -> str | None:
    """The device of this process: its own GPU if torchrun started several.

    Raises:
        UsageError: one GPU is named for all of them, or LOCAL_RANK is not set.
    """
    if started_together() == 1 or not torch.cuda.is_available() or name == "cpu":
        return name
    if name not in (None, "cuda"):
        raise UsageError(f"each of several processes has a GPU of its own; leave the device out, or say cuda, not {name}")
    if "LOCAL_RANK" not in os.environ:
        raise UsageError("WORLD_SIZE is set, LOCAL_RANK is not: start the processes with torchrun")
    return f"cuda:{os.environ['LOCAL_RANK']}"
