"""Folders of adapters (PEFT), and the base models that they are over."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from ance_ir.errors import ModelError
from ance_ir.files import link, write_json
from ance_ir.models.loading.backbones import keep_layers
from ance_ir.models.loading.family import ADAPTER, SETTINGS
from ance_ir.models.loading.hashing import hash_weights
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weight_files import HEADS, SAVED, read_adapter, read_settings
from ance_ir.typed_json import type_fault

logger = logging.getLogger(__name__)

_FOLLOWED = ("LORA",)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
_OF_ADAPTERS = ("adapter_*", "README.md", "ance_ir.json", "training_args.bin", "optimizer.pt", "*.lock")
_PREFIX = "base_model.model."
"""What PEFT puts before the names of the base's weights."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A folder with an adapter.

    Attributes:
        folder: where it is.
        config: ``adapter_config.json``.
    """

    folder: Path
    config: dict[str, Any]

    @property
    def base(self) -> str:
        """The name of the base: a hub name or a path, also one from the adapter's folder.

        Raises:
            ModelError: the adapter names none.
        """
        name = self.config.get("base_model_name_or_path")
        if not isinstance(name, str) or not name:
            raise ModelError(f"{self.folder / ADAPTER} names no base (base_model_name_or_path), so the adapter cannot be opened")
        beside = self.folder / name
        return str(beside) if beside.exists() and not Path(name).exists() else name

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights by their names in the base, with PEFT's own endings: ``layers.0.….lora_A.weight``."""
        return {name.removeprefix(_PREFIX): tensor for name, tensor in read_adapter(self.folder).items()}

    @property
    def replaced(self) -> dict[str, Tensor]:
        """Those that take the place of the base's (``modules_to_save``)."""
        return {name: tensor for name, tensor in self.weights.items() if ".lora_" not in name}

    @contextlib.contextmanager
    def over_base(self) -> Iterator[Path]:
        """A folder of the base's files, with the adapter's own before them: its tokeniser, its pooling, its prompts.

        Raises:
            ModelError: the base is nowhere, or is an adapter itself; also of what is opened meanwhile, with the adapter's name.
        """
        try:
            base = resolve(self.base)
        except ModelError as error:
            raise ModelError(f"{self.folder} holds an adapter, and its base is not there: {error}") from None
        if not base.is_dir() or (base / ADAPTER).exists():
            raise ModelError(
                f"{self.folder} holds an adapter over {self.base}, which is {'an adapter itself' if base.is_dir() else 'a file'}"
            )
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for source in (self.folder, base):
                for file in source.iterdir():
                    if source is self.folder and (file.name in ("config.json", *_WEIGHTS) or any(map(file.match, _OF_ADAPTERS))):
                        continue
                    if not (folder / file.name).exists():
                        link(file.resolve(), folder / file.name)
            self._set_head(folder)
            try:
                yield folder
            except ModelError as error:
                raise ModelError(str(error).replace(temporary, str(self.folder))) from error

    def _set_head(self, folder: Path) -> None:
        """Give the base of a classifier's adapter the head that comes with the adapter."""
        heads = {name: tensor for name, tensor in self.replaced.items() if HEADS.fullmatch(name)}
        if self.config.get("task_type") != "SEQ_CLS" or not heads or not (folder / "config.json").exists():
            return
        config = read_settings(folder / "config.json")
        kind = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.get(config.get("model_type", ""))
        labels = {len(tensor) for tensor in heads.values() if tensor.ndim == 2} or {1}
        (folder / "config.json").unlink()
        unlabelled = {name: value for name, value in config.items() if name not in ("id2label", "label2id", "num_labels")}
        write_json(folder / "config.json", {**unlabelled, "architectures": [kind], "num_labels": min(labels)})
        save_file({name: tensor.contiguous() for name, tensor in heads.items()}, folder / SAVED)


def find_adapter(name: str) -> Adapter | None:
    """The adapter in a folder; ``None`` where there is none, or it lies beside a whole model.

    Raises:
        ModelError: it is of a type that is not followed, or its files are damaged.
    """
    folder = resolve(name)
    if not folder.is_dir() or not (folder / ADAPTER).exists() or any((folder / file).exists() for file in _WEIGHTS):
        return None
    return adapter_in(folder)


def warn_of_no_adapter(name: str) -> None:
    """Say of a model whose adapter was to be added to its weights that it has none."""
    logger.warning("merge_adapter: %s has no adapter; its weights stay as they are", name)


def adapter_in(folder: Path) -> Adapter:
    """The adapter in a folder.

    Raises:
        ModelError: it is of a type that is not followed, or its files are damaged.
    """
    config = read_settings(folder / ADAPTER)
    kind = config.get("peft_type")
    if kind not in _FOLLOWED:
        raise ModelError(f"{folder} holds an adapter of the type {kind!r}; only {', '.join(_FOLLOWED)} is followed")
    return Adapter(folder=folder, config=config)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A folder that ``Pretrained.save_adapter`` wrote.

    Attributes:
        folder: where it is.
        base: the name of the model that the adapter is over.
        weights: hashes of its weights, by the folder of their adapter.
        options: what it was opened with.
        settings: of the model.
    """

    folder: Path
    base: str
    weights: dict[str, str]
    options: dict[str, Any]
    settings: dict[str, Any]

    @classmethod
    def find(cls, name: str) -> Saved | None:
        """What a name leads to; ``None`` where it is something else.

        Raises:
            ModelError: it is damaged.
        """
        folder = resolve(name)
        said = read_settings(folder / SETTINGS) if (folder / SETTINGS).exists() else {}
        if said.get("kind") != "adapter":
            return None
        content: dict[str, Any] = {key: said.get(key) for key in ("base", "weights", "options", "settings")}
        if fault := type_fault(content, _Said):
            raise ModelError(f"{folder / SETTINGS}: {fault}")
        return cls(folder=folder, **content)

    def put_in(self, parts: Iterable[PreTrainedModel], put: Callable[[Adapter, PreTrainedModel], None]) -> None:
        """Put the adapters into their base.

        Raises:
            ModelError: the base is another model than it was.
        """
        for (part, told), model in zip(self.weights.items(), parts, strict=True):
            if "layers" in self.options:
                backbone = model.base_model
                assert isinstance(backbone, PreTrainedModel)
                keep_layers(backbone, self.options["layers"])
            if hash_weights(model.state_dict()) != told:
                raise ModelError(f"{self.folder} holds an adapter over {self.base}, whose weights are others than when it was trained")
            put(adapter_in(self.folder / part), model)


class _Said(TypedDict):
    base: str
    weights: dict[str, str]
    options: dict[str, Any]
    settings: dict[str, Any]
