"""Whether a name is that of a dataset or of a model."""

from __future__ import annotations

from typing import Literal

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.datasets.columns import split_columns
from ance_ir.errors import DatasetError, DatasetNotFoundError, UsageError
from ance_ir.files import as_path
from ance_ir.hub import PREFIX
from ance_ir.models.dense.published import find_published
from ance_ir.models.loading.family import ADAPTER, SETTINGS
from ance_ir.models.loading.source import is_packaged

_OF_MODELS = ("config.json", "modules.json", SETTINGS, ADAPTER, "run.json")
_WEIGHTS = (".bin", ".cp", ".pt", ".safetensors")


def dataset_or_none(name: str, kind: Literal["model", "dataset"] | None = None) -> Dataset | None:
    """The dataset of a name; ``None`` if the name is that of a model, or could be.

    Args:
        name: of a dataset or a model.
        kind: which of them it is, where the caller knows.

    Raises:
        UsageError: it could be both.
        DatasetNotFoundError: a path, or what is to be a dataset, that is neither.
    """
    if kind == "model":
        return None
    if name.startswith(PREFIX):
        kind = "dataset"
    model = kind is None and _could_be_model(name)
    try:
        dataset = load_dataset(name)
    except DatasetNotFoundError:
        if model or (kind is None and not _is_path(name)):
            return None
        raise
    except DatasetError:
        if model:
            return None
        raise
    if model:
        raise UsageError(f"{name} could be a dataset and a model: say which with --as dataset or --as model")
    return dataset


def _is_path(name: str) -> bool:
    """Whether a name is that of a file or folder that exists, or could only be one."""
    place = split_columns(name)[0]
    return place != name or as_path(place).exists() or place.startswith(("/", "./", "../", "~"))


def _could_be_model(name: str) -> bool:
    if find_published(name).family or is_packaged(name):
        return True
    path = as_path(name)
    if path.is_file():
        return path.suffix in _WEIGHTS
    return path.is_dir() and any((path / file).exists() for file in _OF_MODELS)
