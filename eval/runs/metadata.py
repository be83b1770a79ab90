"""Metadata of runs in the schema of ir_metadata (Breuer et al., SIGIR 2022; www.ir-metadata.org): what is known of how a run was made."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from ance_ir import __version__
from ance_ir.datasets import Dataset, IrDataset
from ance_ir.files import as_path, atomic_open
from ance_ir.indexes import AnceIndex
from ance_ir.models.pretrained import Pretrained
from ance_ir.pipelines.systems.tree import Call, Chain, Cut, Node, Stage, Sum, Weighted

FILE = "ir-metadata.yml"
_LIBRARIES = (
    *("faiss-cpu", "faiss-gpu-cu12", "numpy", "pandas", "pyserini", "pyterrier"),
    *("pyterrier-pisa", "python-terrier", "torch", "transformers"),
)


def run_metadata(
    tag: str,
    dataset: Dataset | None,
    *,
    stages: Sequence[Mapping[str, Any]],
    parts: Any,
    queries: int,
    results: int,
    seconds: float,
    topics: str = "",
) -> dict[str, Any]:
    """What is known of a run; what only its author knows (``actor``, ``research goal``) is left out.

    Args:
        tag: of the run.
        dataset: what was searched, where that is known.
        stages: ``method.retrieval``, see ``stages_of``.
        parts: the pipeline, or anything that holds the models and indexes that were used.
        queries: how many.
        results: how many.
        seconds: of the search.
        topics: where the queries are from.
    """
    models, indexes = _used(parts)
    method: dict[str, Any] = {"automatic": True, "score ties": "docno, descending", "retrieval": [dict(stage) for stage in stages]}
    if models:
        method["models"] = [{"name": model.name, "fingerprint": model.fingerprint(), "precision": model.precision} for model in models]
    if indexes:
        method["indexes"] = [{"name": str(index.folder), **{key: str(value) for key, value in index.info().items()}} for index in indexes]
    return {
        "tag": tag,
        "platform": {"hardware": _hardware(), "operating system": _system(), "software": {"libraries": {"python": _libraries()}}},
        "implementation": {
            "executable": {
                "cmd": shlex.join(["ance-ir" if Path(sys.argv[0]).stem == "__main__" else Path(sys.argv[0]).name, *sys.argv[1:]])
            },
            "source": {"lang": "python", "package": f"ance_ir {__version__}"},
        },
        "resources": {"queries": queries, "results": results, "seconds": round(seconds, 3)},
        "method": method,
        **({"data": {"test collection": _collection(dataset, topics)}} if dataset is not None else {}),
    }


def write_metadata(run: Path, about: Mapping[str, Any]) -> Path:
    """Write the metadata of a run next to it, as ``ir-metadata.yml``, or ``NAME.ir-metadata.yml`` where that is another run's.

    Args:
        run: the run's file, whose name is added.
        about: see ``run_metadata``.

    Returns:
        The file that was written.
    """
    run = as_path(run)
    path = run.parent / FILE
    if _run_of(path) not in (None, run.name):
        path = run.parent / f"{run.name}.{FILE}"
    with atomic_open(path) as stream:
        yaml.safe_dump({**about, "run": run.name}, stream, sort_keys=False, allow_unicode=True, width=120)
    return path


def _run_of(path: Path) -> str | None:
    """The run that a file of metadata is about; ``None`` if there is no file, ``""`` if it is not ours."""
    try:
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError):
        return ""
    return str(about.get("run", "")) if isinstance(about, dict) else ""


def stages_of(tree: Node) -> list[dict[str, Any]]:
    """The stages of a system as ``method.retrieval`` has them: which stage reranks which, and what is interpolated."""
    stages: list[dict[str, Any]] = []
    _add(tree, None, stages)
    return stages


def _add(node: Node, before: str | None, stages: list[dict[str, Any]]) -> str:
    """Add the stages of a part; returns the name of its last one."""
    match node:
        case Chain():
            last = before
            for part in node.stages:
                last = _add(part, last, stages)
            return last or ""
        case Cut():
            name = _add(node.system, before, stages)
            next(stage for stage in stages if stage["name"] == name)["documents"] = node.depth
            return name
        case Weighted():
            name = _add(node.system, before, stages)
            next(stage for stage in stages if stage["name"] == name)["weight"] = node.weight
            return name
        case Sum() | Call():
            parts = node.terms if isinstance(node, Sum) else node.arguments
            names = [_add(part, before, stages) for part in parts]
            return _named(stages, {"name": node.function if isinstance(node, Call) else "weighted sum", "interpolates": names})
        case Stage():
            options = {option.name: option.value for option in node.options}
            reranks = {"reranks": before} if before else {}
            return _named(stages, {"name": node.written or node.word, "method": node.word, **options, **reranks})
    raise AssertionError(node)


def _named(stages: list[dict[str, Any]], stage: dict[str, Any]) -> str:
    """Add a stage under a name that no other has."""
    names = {other["name"] for other in stages}
    name = next(one for one in (stage["name"], *(f"{stage['name']} ({n})" for n in range(2, len(names) + 3))) if one not in names)
    stages.append({**stage, "name": name})
    return str(name)


def _used(parts: Any) -> tuple[list[Pretrained[Any]], list[AnceIndex]]:
    """The models and indexes that a pipeline holds, each once."""
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def look(value: Any, depth: int) -> None:
        if depth > 12 or id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
            return
        seen.add(id(value))
        if isinstance(value, Pretrained | AnceIndex):
            found[id(value)] = value
            return
        inner: Iterator[Any] = iter(())
        if isinstance(value, Mapping):
            inner = iter(value.values())
        elif isinstance(value, list | tuple):
            inner = iter(value)
        elif type(value).__module__.startswith(("ance_ir", "pyterrier")):
            inner = iter(getattr(value, "__dict__", {}).values())
        for one in inner:
            look(one, depth + 1)

    look(parts, 0)
    return [one for one in found.values() if isinstance(one, Pretrained)], [one for one in found.values() if isinstance(one, AnceIndex)]


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
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {"cpu": cpu, **({"gpu": {"model": ", ".join(gpus)}} if gpus else {}), **({"ram": f"{int(memory) >> 20} GB"} if memory else {})}


def _system() -> dict[str, str]:
    distribution = _first("/etc/os-release", r'PRETTY_NAME="?([^"\n]+)') or platform.system()
    return {"kernel": platform.release(), "distribution": distribution}


def _first(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[1].strip() if found else ""


def _libraries() -> list[str]:
    found = [f"python {platform.python_version()}", f"ance_ir {__version__}"]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found
