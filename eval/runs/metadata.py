"""Metadata of runs in the schema of ir_metadata 0.1 (Breuer et al., SIGIR 2022; www.ir-metadata.org): what is known of how a run was
made. ``resources`` is the extension of the TIREx tracker (github.com/tira-io/tirex-tracker), which calls it 0.2.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pyterrier as pt
import torch
import yaml

from ance_ir import __version__
from ance_ir.datasets import Dataset, IrDataset
from ance_ir.eval.runs.method import Method
from ance_ir.files import as_path, atomic_open
from ance_ir.locks import alone
from ance_ir.processes import peak_memory

FILE = "ir-metadata.yml"
_TOOLKITS = ("pyterrier", "python-terrier", "pyterrier-pisa", "pyserini")
_LIBRARIES = ("faiss-cpu", "faiss-gpu-cu12", "numpy", "pandas", "torch", "transformers")
_AUTHORS = ("actor", "research goal")
_AUTHORS_DATA = ("training data", "other")


@contextlib.contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """While entered, measures; afterwards the mapping is the ``resources`` of what was done, as the TIREx tracker writes them."""
    resources: dict[str, Any] = {}
    start, clock, used = datetime.now(UTC), time.perf_counter(), os.times()
    yield resources
    wallclock, after = time.perf_counter() - clock, os.times()
    resources["runtime"] = {
        "start time": start.isoformat(timespec="seconds"),
        "stop time": datetime.now(UTC).isoformat(timespec="seconds"),
        "wallclock": f"{wallclock * 1000:.0f} ms",
        "user": f"{(after.user - used.user) * 1000:.0f} ms",
        "system": f"{(after.system - used.system) * 1000:.0f} ms",
    }
    peak = peak_memory()
    if not math.isnan(peak):
        resources["ram"] = {"used process": f"{peak:.0f} MB"}


def run_metadata(
    tag: str, dataset: Dataset | None, pipeline: pt.Transformer, *, resources: Mapping[str, Any], topics: str = ""
) -> dict[str, Any]:
    """What is known of a run; what only its author knows (``actor``, ``research goal``) is left out.

    Args:
        tag: of the run.
        dataset: what was searched, where that is known.
        pipeline: what made it.
        resources: see ``measured``.
        topics: where the queries are from.
    """
    return {
        "schema-version": 0.1,
        "run-version": 1.0,
        "tag": tag,
        "platform": {"hardware": _hardware(), "operating system": _system(), "software": _software()},
        "implementation": {"executable": {"cmd": _command()}, "source": {"lang": ["Python"]}},
        "method": Method(pipeline).described(),
        **({"data": {"test collection": _collection(dataset, topics)}} if dataset is not None else {}),
        "resources": dict(resources),
    }


def write_metadata(run: Path, about: Mapping[str, Any]) -> Path:
    """Write the metadata of a run next to it, as ``ir-metadata.yml``, or ``NAME.ir-metadata.yml`` where that is another run's.

    What the author has added to the file before, or to the other run's, is taken over: ``actor``, ``research goal``, and in ``data``
    ``training data`` and ``other``.

    Args:
        run: the run's file, whose name is added.
        about: see ``run_metadata``.

    Returns:
        The file that was written.
    """
    run = as_path(run)
    path = first = run.parent / FILE
    with alone(first, "writing the metadata of a run"):
        shared = _read(first)
        if shared is not None and shared.get("run") != run.name:
            path = run.parent / f"{run.name}.{FILE}"
        known = _of_author(shared) | _of_author(_read(path))
        data = {**known.pop("data", {}), **about.get("data", {})}
        with atomic_open(path) as stream:
            whole = {**about, **known, **({"data": data} if data else {}), "run": run.name}
            yaml.safe_dump(whole, stream, sort_keys=False, allow_unicode=True, width=120)
    return path


def _read(path: Path) -> dict[str, Any] | None:
    """The entries of a file of metadata; ``None`` if there is no file, none if it holds something else."""
    try:
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return about if isinstance(about, dict) else {}


def _of_author(about: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entries that a run's author writes."""
    about = about or {}
    found = {name: about[name] for name in _AUTHORS if name in about}
    data = about.get("data")
    data = {name: data[name] for name in _AUTHORS_DATA if name in data} if isinstance(data, dict) else {}
    return found | ({"data": data} if data else {})


def _command() -> str:
    program = Path(sys.argv[0])
    return shlex.join(["ance-ir" if program.stem == "__main__" else program.name, *sys.argv[1:]])


def _collection(dataset: Dataset, topics: str) -> dict[str, Any]:
    about: dict[str, Any] = {"name": dataset.name, "source": dataset.source}
    if topics:
        about["topics"] = topics
    if isinstance(dataset, IrDataset):
        about["ir_datasets"] = dataset.identifier
    return {**about, "fingerprint": dataset.corpus_fingerprint}


def _hardware() -> dict[str, Any]:
    cpu = {
        "model": _first("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or "unknown",
        "architecture": platform.machine(),
        "operation mode": f"{platform.architecture()[0].removesuffix('bit')}-bit",
        "number of cores": os.cpu_count() or 0,
    }
    memory = _first("/proc/meminfo", r"MemTotal:\s*(\d+) kB")
    found: dict[str, Any] = {"cpu": cpu}
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        found["gpu"] = {"model": ", ".join(gpu.name for gpu in gpus), "memory": f"{sum(gpu.total_memory for gpu in gpus) >> 30} GB"}
    if memory:
        found["ram"] = f"{int(memory) >> 20} GB"
    return found


def _system() -> dict[str, str]:
    distribution = _first("/etc/os-release", r'PRETTY_NAME="?([^"\n]+)') or platform.system()
    return {"kernel": platform.release(), "distribution": distribution}


def _first(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[1].strip() if found else ""


def _software() -> dict[str, Any]:
    python = [f"python=={platform.python_version()}", *_versions(_LIBRARIES)]
    return {"libraries": {"python": python}, "retrieval toolkit": [f"ance_ir=={__version__}", *_versions(_TOOLKITS)]}


def _versions(packages: tuple[str, ...]) -> list[str]:
    """``NAME==VERSION`` of those that are installed."""
    found = []
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name}=={metadata.version(name)}")
    return found
