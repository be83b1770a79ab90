"""The parts of a corpus encoded by tasks of a Ray cluster.

A task encodes one part as any process does (``CorpusEncoding``), into the folder that all nodes see. The model travels with the work; a
process of a node keeps both for the tasks that follow. Retries, lost nodes and nodes that join are Ray's concern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from ance_ir.errors import UsageError
from ance_ir.indexes.cluster.connection import computes_on, connect, explained, not_seen, on_this_node
from ance_ir.indexes.store.corpus import CorpusEncoding

_WAIT = 1.0
"""Seconds between two looks at the parts, where no task ends."""


class PartTasks:
    """Encodes parts on the GPUs of a cluster, one each, or on its cores where it has no GPU; for ``CorpusEncoding.lead``.

    Args:
        cluster: see ``cluster.connection``.
        work: what is encoded.
        cores: of each task.

    Raises:
        UsageError: the text names no cluster, or the model does not go to other machines.
        MissingDependencyError: Ray is not installed.
        IndexingError: no cluster answers.
    """

    def __init__(self, cluster: str, work: CorpusEncoding, *, cores: int) -> None:
        if work.description["precision"] == "int8":
            raise UsageError("a model in int8 is compiled for one machine; encode on a cluster in another precision")
        self._ray = connect(cluster)
        self._device, _ = computes_on(self._ray)
        self._task = self._ray.remote(num_cpus=cores, num_gpus=int(self._device == "cuda"), max_calls=0)(_encode)
        self._work = self._ray.put(work)
        self._running: dict[Any, int] = {}

    def __call__(self, parts: list[int]) -> int:
        """Encode some parts, return when one or more are done; the others are being encoded meanwhile.

        Raises:
            IndexingError: a node does not see a folder, or a part was lost with its node more often than Ray tries again.
        """
        begun = set(self._running.values())
        for part in (part for part in parts if part not in begun):
            self._running[self._task.remote([self._work], part, self._device)] = part
        done, _ = self._ray.wait(list(self._running), timeout=_WAIT)
        for task in done:
            del self._running[task]
        with explained(self._ray):
            return sum(self._ray.get(done))


def _encode(work: list[Any], part: int, device: str) -> int:
    """On a node: encode a part, unless it is complete. The work comes as a reference, in a list so that Ray leaves it one."""
    with on_this_node():
        opened = _opened(work[0], device)
        if folder := opened.unseen():
            raise not_seen(folder)
        encoded = opened.take([part])
    if device == "cuda":
        torch.cuda.empty_cache()  # this process stays, and others want the memory
    return encoded


@lru_cache(maxsize=1)
def _opened(reference: Any, device: str) -> CorpusEncoding:
    import ray

    work: CorpusEncoding = ray.get(reference)
    work.to(device)
    return work
