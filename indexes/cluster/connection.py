"""The connection to a Ray cluster, and errors that say on which of its nodes they arose.

A cluster is written ``ray`` (the one that ``RAY_ADDRESS`` names, else the one that runs on this machine, else a new one of this machine
alone) or ``ray://ADDRESS``, where ADDRESS is what ``ray start`` calls the address: ``10.0.0.1:6379``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ance_ir.errors import AnceError, IndexingError, UsageError
from ance_ir.optional import optional

_PATIENCE = 10.0
"""Seconds in which an address must answer."""

_CLUSTER = re.compile(r"ray(?:://(\S+:\d{1,5}))?")


def is_cluster(text: str) -> bool:
    """Whether a text means a cluster, rightly written or not."""
    return re.match(r"ray\b", text) is not None


def check_cluster(text: str) -> str:
    """The text, if it names a cluster.

    Raises:
        UsageError: it does not.
    """
    if not _CLUSTER.fullmatch(text):
        raise UsageError(f"a cluster is ray or ray://HOST:PORT, as `ray start` calls its address; found {text!r}")
    return text


def connect(cluster: str) -> Any:
    """The module ``ray``, this process being connected to a cluster; an existing connection is kept. It ends with the process.

    Raises:
        UsageError: the text names no cluster.
        MissingDependencyError: Ray is not installed.
        IndexingError: no cluster answers at the address.
    """
    match = _CLUSTER.fullmatch(check_cluster(cluster))
    ray: Any = optional("ray", needed_for=f"the cluster {cluster}", remedy="pip install 'ance_ir[cluster]'")
    if not ray.is_initialized():
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first error of several tasks is raised, the others say the same
        address = match[1] if match else None
        try:
            if address is not None:  # Ray itself tries for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
            ray.init(address, include_dashboard=False, logging_level=logging.WARNING, log_to_driver=False)
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            found = " ".join(str(error).split())
            raise IndexingError(
                f"{cluster}: no Ray cluster that this machine is a node of was found there ({found}); start one with `ray start --head`, "
                "give the address that it prints, and run this command on one of its nodes"
            ) from error
    return ray


def computes_on(ray: Any) -> tuple[str, int]:
    """What a cluster computes on, and how many of it there are: its GPUs (``"cuda"``), or, where it has none, its nodes (``"cpu"``)."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    return ("cuda", gpus) if gpus else ("cpu", sum(bool(node["Alive"]) for node in ray.nodes()))


@contextlib.contextmanager
def explained(ray: Any) -> Iterator[None]:
    """Errors of tasks and actors as errors of this package: those that it raised on a node, and the loss of more nodes than Ray bears."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, AnceError):
            raise
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise IndexingError(
            f"the work was given up on a node of the cluster, after Ray had tried again: {' '.join(str(error).split())}; the same command "
            "resumes it"
        ) from error


@contextlib.contextmanager
def on_this_node() -> Iterator[None]:
    """Errors of this package and of the system name the node on which they arise."""
    try:
        yield
    except (AnceError, OSError) as error:
        raise IndexingError(f"node {this_node()}: {error}") from error


def this_node() -> str:
    """The node that this process runs on, as people find it: host, address and the beginning of Ray's number."""
    import ray

    number = ray.get_runtime_context().get_node_id()
    return f"{socket.gethostname()} ({ray.util.get_node_ip_address()}, {number[:8]})"


def not_seen(folder: Path) -> IndexingError:
    """The error of a node that does not see a folder as the other nodes do."""
    return IndexingError(f"{folder} is not there, or not the same as where the work began; a cluster needs folders that all nodes share")
