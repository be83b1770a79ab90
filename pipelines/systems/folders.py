"""The kind of a stage that is a path: of a folder by its small files, of a server by its address."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ance_ir.errors import UsageError
from ance_ir.hub import PREFIX
from ance_ir.models.loading.family import ADAPTER, family_of
from ance_ir.models.loading.source import resolve

Kind = Literal["dense index", "BM25 index", "reranker", "reader", "dense model", "server"]
"""Each has its branch in ``stages.py``."""

_ADDRESSES = ("http:/", "https:/")
"""A path has one slash where an address has two."""


def kind_of(path: Path) -> Kind:
    """The kind of a folder. A model of unknown purpose counts as a reranker; ``ance_ir.models.open`` opens it as a
    dense encoder. What is named by ``hf:`` is a dense index on the hub; models there are options: ``bert[model=NAME]``. An address is a
    server's.

    Raises:
        UsageError: it is no stage.
        ModelError: a training run that is not finished.
    """
    if str(path).startswith(PREFIX):
        return "dense index"
    if str(path).startswith(_ADDRESSES):
        return "server"
    if (path / "manifest.json").exists():
        return "dense index" if (path / "pt_meta.json").exists() else "BM25 index"
    if not path.is_dir():
        raise UsageError(f"{path} is {'a file' if path.exists() else 'not there'}; a stage is the folder of an index or of a model")
    folder = resolve(str(path))
    family = family_of(folder)
    if family == "RAG model":
        raise UsageError(f"{path} is a {family}, which is no stage of a system; ance_ir.pipelines.RagReader uses it")
    if family is not None:
        return "dense model" if family == "encoder" else family
    if (folder / "config.json").exists() or (folder / ADAPTER).exists():
        return "reranker"
    raise UsageError(f"{path} is no index and no model: it has no manifest.json, run.json or config.json")
