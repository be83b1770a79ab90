"""The folders of the models that sentence-transformers computes: what it would pass over in them is refused here, by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ance_ir.errors import ModelError
from ance_ir.models.loading.family import Family, refuse_other
from ance_ir.models.loading.foreign import refuse_half, refuse_partial
from ance_ir.models.loading.sentence_transformers import (
    LIBRARY_MODULE,
    LIBRARY_MODULES,
    MULTI_VECTOR_ENCODER,
    ROUTER,
    SPARSE_ENCODER,
    Table,
    read_modules,
)
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weight_files import architectures, read_settings, read_weights
from ance_ir.models.loading.weights import build

_MODELS: Mapping[Family, Table] = {"sparse encoder": SPARSE_ENCODER, "multi-vector encoder": MULTI_VECTOR_ENCODER}

_OF_RUNS = (
    "overwrite root experiment index_root name rank nranks amp total_visible_gpus gpus avoid_fork_if_possible checkpoint triples "
    "collection queries index_name index_path index_bsize nbits kmeans_niters pool_factor clusterer_name protected_tokens ncells "
    "centroid_score_threshold ndocs load_index_with_mmap bsize accumsteps lr maxsteps save_every resume warmup warmup_bert nway "
    "use_ib_negatives distillation_alpha ignore_scores model_name query_token doc_token dim meta"
)
"""How a model was trained and its index is made and searched, and what its weights say too."""

_STANFORD = Table(
    followed={
        **dict.fromkeys(("query_maxlen", "doc_maxlen"), int),
        **dict.fromkeys(("query_token_id", "doc_token_id"), str),
        **dict.fromkeys(("mask_punctuation", "attend_to_mask_tokens"), bool),
    },
    harmless=frozenset(_OF_RUNS.split()),
    only={"similarity": ("cosine",), "interaction": ("colbert",), "relu": (False,), "reranker": (False,)},
)
"""``artifact.metadata`` (``colbert/infra/config/settings.py`` of https://github.com/stanford-futuredata/ColBERT)."""


_LENGTHS = ("max_seq_length", "query_length", "document_length", "query_maxlen", "doc_maxlen")
_MOST = 1 << 20


def find_folder(name: str | Path, family: Family) -> Path:
    """The folder of a model.

    Args:
        name: a folder or hub name.
        family: that the folder must be of, or say nothing of.

    Raises:
        ModelError: it is nowhere, of another family, or a part of a model.
    """
    folder = resolve(str(name))
    if not folder.is_dir():
        raise ModelError(f"{name} is a file; expected the folder of a {family}")
    refuse_partial(folder)
    refuse_half(folder)
    refuse_other(folder, family)
    return folder


def check_settings(folder: Path, family: Family) -> list[Path]:
    """Check the files of settings, before weights are read.

    Returns:
        The folders of the modules that have one, in order, those of a Router's routes one after the other.

    Raises:
        ModelError: a setting that is not understood, or a module's folder is incomplete.
    """
    _check(folder / "config_sentence_transformers.json", _MODELS[family])
    modules = list(_modules(folder))
    for kind, home in modules:
        refuse_partial(home)
        if kind in LIBRARY_MODULES:
            settings = _check(home / "config.json", LIBRARY_MODULES[kind])
            activation = settings.get("activation_function") or "torch."
            if not activation.startswith("torch."):  # for which the library takes another
                raise ModelError(f"{home / 'config.json'}: the activation_function is {activation}; one of torch's own is understood")
    return [home for _, home in modules]


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Class and folder of each module that has one."""
    if not (folder / "modules.json").exists():
        if "HF_ColBERT" in architectures(folder):
            _check(folder / "artifact.metadata", _STANFORD, required=True)
        yield "Transformer", folder
        return
    for module in read_modules(folder, LIBRARY_MODULE):
        kind, home = _class(module["type"]), folder / module["path"]
        if kind != "Router":
            yield kind, home
            continue
        said = read_settings(home / "router_config.json")
        ROUTER.check(home / "router_config.json", said)
        types = said.get("types") or {}
        for route in (said.get("structure") or {}).values():
            yield from ((_class(types.get(name, "")), home / name) for name in route)


def _class(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _check(path: Path, table: Table, *, required: bool = False) -> dict[str, Any]:
    settings = read_settings(path) if required or path.exists() else {}
    table.check(path, settings)
    for name in _LENGTHS:
        if (length := settings.get(name)) is not None and not 1 <= length <= _MOST:  # the tokeniser would end the process
            raise ModelError(f"{path}: {name} is {length}; a number of tokens from 1 to {_MOST:,} was expected")
    return settings


def fill(model: Any, homes: list[Path]) -> None:
    """Give the transformers of an opened model their weights by name; the library has left at random those that it did not find.

    Args:
        model: of sentence-transformers, whose other modules do not open where a weight is missing.
        homes: the folders of its modules, in order; what comes after them has no folder.

    Raises:
        ModelError: parameters that the weights lack, or that have another shape there.
    """
    for module, home in zip(_flat(model), homes, strict=False):
        network = getattr(module, "auto_model", None)
        if network is None:
            continue
        config = copy.deepcopy(network.config)
        with torch.random.fork_rng(devices=[]):  # a pooler that the weights lack and no vector needs
            whole, _ = build(config, read_weights(home), str(home), mapping={type(config): type(network)}, may_lack=r"pooler\..*")
        network.load_state_dict(whole.state_dict())


def _flat(model: Any) -> Iterator[Any]:
    for module in model:
        routes = getattr(module, "sub_modules", None)
        yield from [module] if routes is None else [one for route in routes.values() for one in route]
