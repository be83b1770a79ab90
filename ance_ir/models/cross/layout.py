"""A layout of rerankers: how its files are recognised and opened, how a pair becomes log-odds, and how it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ance_ir import registries
from ance_ir.files import write_json
from ance_ir.models.cross.graph import graph_of
from ance_ir.models.cross.pairs import PairSettings, PairTokenizer
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.sentence_transformers import CROSS_ENCODER, MODULE, Table, prompts_of, read_modules, warn_of_unused
from ance_ir.models.loading.weight_files import architectures, read_settings, read_weights
from ance_ir.models.loading.weights import load_config, load_tokenizer, quiet_transformers
from ance_ir.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Files:
    """The folder of a reranker, of a layout that is not known yet.

    Attributes:
        name: what the caller named.
        folder: where it is.
    """

    name: str
    folder: Path

    @cached_property
    def architectures(self) -> list[str]:
        """The classes that ``config.json`` names."""
        return architectures(self.folder)

    @cached_property
    def modules(self) -> list[dict[str, Any]]:
        """The entries of ``modules.json``, checked; none where there is no such file."""
        return read_modules(self.folder, MODULE) if (self.folder / "modules.json").exists() else []

    @property
    def kinds(self) -> list[str]:
        """The classes of the modules, without where they are."""
        return [str(module.get("type")).rsplit(".", 1)[-1] for module in self.modules]

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights by their names, read once."""
        return read_weights(self.folder)

    def config(self, usual: str | None = None) -> PretrainedConfig:
        """The model's configuration; see ``load_config``."""
        return load_config(self.folder, usual)

    def tokenizer(self, config: PretrainedConfig) -> PreTrainedTokenizerBase:
        """The tokeniser."""
        return load_tokenizer(self.folder, config)

    def sentence_config(self, table: Table) -> dict[str, Any]:
        """The settings in ``sentence_bert_config.json``, or an older name of it, checked; none where there is no such file."""
        files = sorted(self.folder.glob("sentence_*_config.json"))
        settings = read_settings(files[0]) if files else {}
        if files:
            table.check(files[0], settings)
        return settings

    @cached_property
    def whole_model(self) -> dict[str, Any]:
        """The settings of a whole cross-encoder of sentence-transformers, checked; none in folders that it did not write."""
        path = self.folder / "config_sentence_transformers.json"
        settings = read_settings(path) if path.exists() else {}
        if settings.get("model_type") != "CrossEncoder":
            return {}  # left over from an encoder
        CROSS_ENCODER.check(path, settings)
        return settings

    @cached_property
    def prompt(self) -> str:
        """The default prompt of a whole cross-encoder."""
        path = self.folder / "config_sentence_transformers.json"
        prompts, usual = prompts_of(path, self.whole_model)
        if not self.whole_model.get("default_prompt_name"):
            warn_of_unused(path, prompts, "query_prefix={prompt!r}")
        return usual


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the caller chooses.

    Attributes:
        settings: fields of ``PairSettings``, which take the place of the checkpoint's.
        fresh_head: whether it gets a new head.
        seed: of the new head's weights.
        merge_adapter: whether an adapter is added to the weights.
    """

    settings: Mapping[str, Any]
    fresh_head: bool = False
    seed: int = 42
    merge_adapter: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """What is written.

    Attributes:
        model: with its head.
        tokenizer: its own.
        settings: how it reads pairs.
        weights: whether the model's weights are written, or its configuration alone, next to an exported graph.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: PairSettings
    weights: bool = True

    def write_model(self, folder: Path) -> None:
        """Write the model, as transformers opens it."""
        with quiet_transformers():
            (self.model if self.weights else self.model.config).save_pretrained(folder)


class Layout(ABC):
    """A layout.

    Attributes:
        order: layouts are asked in the order of these numbers, and the first one that recognises the files opens them.
        classes: the classes of its models, by those of their configurations.
        names: the names of these classes, by types of models; some have several.
        remedy: what else can be done with a folder that does not open, for messages.
        elsewhere: whether sentence-transformers opens what is written.
    """

    order: ClassVar[int]
    classes: ClassVar[Any]
    names: ClassVar[Mapping[str, str | tuple[str, ...]]]
    remedy: ClassVar[str] = ""
    elsewhere: ClassVar[bool] = True

    @property
    def class_names(self) -> set[str]:
        """The names of the classes of its models; the classes themselves would be imported, all that there are."""
        groups = [(group,) if isinstance(group, str) else group for group in self.names.values()]
        return {name for group in groups for name in group}

    @abstractmethod
    def recognises(self, files: Files) -> bool:
        """Whether files are of this layout."""

    @abstractmethod
    def build(self, files: Files, choices: Choices) -> tuple[PreTrainedModel, tuple[str, ...]]:
        """The model, and the names of weights that have no place in it.

        Raises:
            ModelError: the files are damaged, or lack parameters.
        """

    @abstractmethod
    def read_settings(self, files: Files, choices: Choices, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PairSettings:
        """What a checkpoint of another package says of its settings.

        Raises:
            ModelError: it says what is not understood, or too little.
        """

    @abstractmethod
    def pairs(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: PairSettings) -> PairTokenizer:
        """What makes token ids of pairs.

        Raises:
            ModelError: the model scores no pairs, or its tokeniser is not known.
            UsageError: the settings do not fit the model.
        """

    @abstractmethod
    def log_odds(
        self, model: PreTrainedModel, tokenizer: PairTokenizer, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None
    ) -> Tensor:
        """Log-odds of relevance, float32 ``[B]``, of padded pairs."""

    @abstractmethod
    def facts(self, model: PreTrainedModel, settings: PairSettings) -> dict[str, str]:
        """Properties as text; ``logits`` is one of them."""

    @abstractmethod
    def write(self, parts: Parts, folder: Path) -> None:
        """Write all but ``ance_ir.json``."""

    def graph(self, model: PreTrainedModel, tokenizer: PairTokenizer) -> Graph:
        """What of a model is exported; here its log-odds, as one logit."""

        def compute(model: PreTrainedModel, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None) -> Tensor:
            return self.log_odds(model, tokenizer, ids_BL, mask_BL, types_BL)[:, None]

        return graph_of(model, tokenizer, compute, 1, elsewhere=False)

    def write_for_export(self, parts: Parts, folder: Path) -> None:
        """Write what belongs to an exported graph: here the configuration and the tokeniser, since the graph stands for all else."""
        parts.write_model(folder)
        parts.tokenizer.save_pretrained(folder)


LAYOUTS: Registry[Layout] = registries.RERANKER_LAYOUTS

_NO_LIMIT = 10**6
_DEFAULT_LENGTH = 512


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens of a pair that a model and its tokeniser take."""
    return min(tokenizer.model_max_length, positions(model.base_model))


def pair_length(said: int | None, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of a pair: as a checkpoint says, else as many as its tokeniser takes, else 512."""
    if said is None:
        said = tokenizer.model_max_length if tokenizer.model_max_length < _NO_LIMIT else _DEFAULT_LENGTH
    return min(said, positions(model.base_model))


def write_sentence_files(folder: Path, parts: Parts, task: str, output: str, *, chat: bool = False, prompt: str, activation: str) -> None:
    """Write the files by which sentence-transformers 5 and 6 open a cross-encoder whose only module is its Transformer.

    Args:
        folder: to write to.
        parts: what is written.
        task: of the Transformer.
        output: how it calls what comes out.
        chat: whether pairs are read through the chat template.
        prompt: its prompt, which may be empty.
        activation: the activation function.
    """
    logits = {"method": "forward", "method_output_name": "logits"}
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
    write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": task,
            "modality_config": {"text": logits, **({"message": {**logits, "format": "flat"}} if chat else {})},
            "module_output_name": output,
            "max_seq_length": parts.settings.pair_length,
            "do_lower_case": parts.settings.lower_case,
        },
    )
    prompts = {"query": prompt} if prompt else {}
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "CrossEncoder",
            "activation_fn": activation,
            "prompts": prompts,
            "default_prompt_name": "query" if prompts else None,
        },
    )
