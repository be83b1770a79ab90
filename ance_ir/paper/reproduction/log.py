"""The log of a reproduction: a page of Markdown that says all that matters to whoever reads it elsewhere."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import faiss
import torch

from ance_ir.files import atomic_open
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.device import find_device
from ance_ir.paper.reproduction.catalogue import Figure, Reproduction
from ance_ir.paper.reproduction.comparison import Comparison, comparison_table
from ance_ir.processes import usable_cpus
from ance_ir.training import environment
from ance_ir.workflows.planning.figures import duration


def write_log(
    path: Path,
    reproduction: Reproduction,
    figure: Figure,
    comparisons: Sequence[Comparison],
    command: str,
    notices: Sequence[str],
    model: str,
    seconds: float,
    device: str | None,
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: the file.
        reproduction: what was reproduced.
        figure: which of its figures.
        comparisons: the outcome.
        command: the evaluation.
        notices: warnings of it.
        model: the checkpoint as it is opened.
        seconds: since the command began, with what it fetched.
        device: where models computed; ``None`` for the usual one.
    """
    reached = sum(one.within for one in comparisons)
    vectors = reproduction.vectors
    facts = {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {duration(seconds)} since the command began",
        "checkpoint": _checkpoint(reproduction.model, model),
        "vectors": f"{vectors.url}, md5 {vectors.md5}" if vectors else "made here",
        "queries": f"{figure.queries:,} of {figure.dataset}",
        "command": f"`{command}`",
        "versions": ", ".join(f"{name} {version}" for name, version in {**environment(), "faiss": faiss.__version__}.items()),
        "machine": f"{platform.platform()}, {usable_cpus()} cores, {_device(device)}",
    }
    lines = [
        f"# {reproduction.name}/{figure.name}: {reached} of {len(comparisons)} figures reproduced",
        "",
        comparison_table(comparisons).to_markdown(),
        "",
        *(f"- {name}: {text}" for name, text in facts.items() if text),
        *(f"- notice: {notice}" for notice in notices),
    ]
    with atomic_open(path) as stream:
        stream.write("\n".join(lines) + "\n")


def _checkpoint(name: str, model: str) -> str:
    return f"{name}, fingerprint {DenseEncoder.from_pretrained(model).fingerprint()}" if name else ""


def _device(device: str | None) -> str:
    found = find_device(device)
    return torch.cuda.get_device_name(found) if str(found).startswith("cuda") else str(found)
