"""Models and tokenisers from configurations and weights; every weight is accounted for by its name."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from ance_ir.errors import BrokenDependencyError, MissingDependencyError, ModelError, UsageError
from ance_ir.models.loading.weight_files import read_settings

logger = logging.getLogger(__name__)

_KNOWN_LEFTOVER = re.compile(
    r"(.*\.)?(pooler|classifier|pre_classifier|cls|lm_head|vocab_transform|vocab_layer_norm|vocab_projector|position_ids)(\..*)?|(head|decoder)\..*"
)
"""Parts that backbones are published with and that an encoder does not use: poolers, classifiers, heads of masked language models."""

_FAULTS = (
    OSError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the libraries that read a checkpoint raise where it is damaged."""

_BUFFER = re.compile(r"(position_ids|token_type_ids|num_batches_tracked)$")
"""Whole numbers that are no weights."""


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """While a checkpoint is read, have damage that a library complains of, and settings in it that cannot be, name the checkpoint.

    Raises:
        ModelError: for such an error.
    """
    try:
        yield
    except (MissingDependencyError, BrokenDependencyError):
        raise
    except (*_FAULTS, UsageError) as error:
        raise ModelError(f"{name}: the checkpoint does not load: {error}") from error


def load_config(folder: Path, usual: str | None = None) -> PretrainedConfig:
    """The configuration of a folder's model.

    Args:
        folder: with ``config.json``.
        usual: the model type where the file names none, as those of transformers before 2.4.

    Raises:
        ModelError: there is none, or it is of no known model.
    """
    said = read_settings(folder / "config.json")
    model_type = said.get("model_type") or usual
    if said.get("quantization_config"):
        raise ModelError(
            f"{folder / 'config.json'} has a quantization_config: quantised weights are not read; take the model they were made of"
        )
    if model_type is None:  # without this the library would go by the folder's name
        raise ModelError(f'{folder / "config.json"} names no model_type; add it, e.g. "bert"')
    code = (said.get("auto_map") or {}).get("AutoModel")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        known = f"transformers {transformers.__version__} knows no model of the type {model_type!r}"
        own = f"; only code of its own does ({code}), and code from a checkpoint is never run" if code else ""
        raise ModelError(f"{folder / 'config.json'}: {known}{own}")
    try:
        with quiet_transformers():
            config: PretrainedConfig = CONFIG_MAPPING[model_type].from_dict(said)
    except Exception as error:  # the many configuration classes raise anything
        raise ModelError(f"{folder / 'config.json'}: the model's configuration does not load: {error}") from error
    if code:
        logger.warning(
            "%s: config.json names code of its own for the model (%s), which is never run; transformers' own %s takes its place",
            folder,
            code,
            model_type,
        )
    return config


def build(
    config: PretrainedConfig, weights: Mapping[str, Tensor], where: str, *, mapping: Any = MODEL_MAPPING, may_lack: str
) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """A Hugging Face model whose every parameter came from the weights.

    Args:
        config: its configuration.
        weights: by name, with or without the architecture's prefix.
        where: the file or folder that they came from, for messages.
        mapping: from the configuration's class to the model's.
        may_lack: names (a regular expression, matched whole) that may be missing; they are initialised as the library does.

    Returns:
        The model, in the precision that the configuration names, else in the widest of the weights, and the sorted names of the
        weights that have no place in it, except those that are known to come with published backbones.

    Raises:
        ModelError: parameters that the weights lack, or that have another shape there.
    """
    if type(config) not in mapping:
        raise ModelError(f"{where}: there is no encoder for the model type {config.model_type!r}")
    whole = sorted(name for name, tensor in weights.items() if not tensor.is_floating_point() and not _BUFFER.search(name))
    if whole:
        raise ModelError(f"{where}: weights that are whole numbers, as of a quantised model, are not understood: {some(whole)}")
    _check_size(config, weights, where)
    dtype = _dtype(config, weights, where)
    with quiet_transformers():
        model, found = mapping[type(config)].from_pretrained(
            None, config=config, state_dict=dict(weights), dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    missing = sorted(name for name in found["missing_keys"] if not re.fullmatch(may_lack, name))
    misshapen = sorted(f"{name} is {list(came)}, not {list(expected)}" for name, came, expected in found["mismatched_keys"])
    if misshapen:
        raise ModelError(f"{where}: weights of another shape than config.json says: {some(misshapen)}")
    if missing:
        raise ModelError(f"{where}: {len(missing)} parameters of the model are not in the file: {some(missing)}{_other_names(found)}")
    unused = tuple(sorted(name for name in found["unexpected_keys"] if not _KNOWN_LEFTOVER.fullmatch(name)))
    return model, unused


def _dtype(config: PretrainedConfig, weights: Mapping[str, Tensor], where: str) -> torch.dtype:
    """The configuration's, else the widest of the weights."""
    found = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()} or {torch.float32}
    odd = sorted(str(dtype) for dtype in found - {*_DTYPES})
    if odd:
        raise ModelError(f"{where}: weights of the type {odd[0]}, as of a quantised model, are not understood")
    widest = functools.reduce(torch.promote_types, found)
    named = config.dtype if isinstance(config.dtype, torch.dtype) else getattr(torch, str(config.dtype), None)
    if named not in _DTYPES:
        return widest
    if torch.promote_types(named, widest) != named:
        logger.warning("%s: weights of %s are rounded to %s, which config.json names", where, *(str(one)[6:] for one in (widest, named)))
    return named


_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def _check_size(config: PretrainedConfig, weights: Mapping[str, Tensor], where: str) -> None:
    """Refuse a configuration of a model that is far larger than its weights, before memory is taken for it."""
    layers, words = (getattr(config, name, None) for name in ("num_hidden_layers", "vocab_size"))
    width = getattr(config, "embedding_size", None) or getattr(config, "hidden_size", None)
    total = sum(tensor.numel() for tensor in weights.values())
    if isinstance(layers, int) and (layers < 0 or layers > len(weights) > 0):
        raise ModelError(f"{where}: config.json says {layers} layers, and there are {len(weights)} weights; they do not belong together")
    if isinstance(words, int) and isinstance(width, int) and words * width > 2 * total > 0:
        raise ModelError(
            f"{where}: config.json says {words} tokens of {width} dimensions, and the weights have {total} numbers in all; "
            "they do not belong together"
        )


def _other_names(found: Mapping[str, Any]) -> str:
    """For a message: what stands before the missing names in the file, if anything does."""
    missing = set(found["missing_keys"])
    parts = [name.split(".") for name in found["unexpected_keys"]]
    before = Counter(".".join(name[:place]) for name in parts for place in range(1, len(name)) if ".".join(name[place:]) in missing)
    if not before:
        return ""
    prefix, count = before.most_common(1)[0]
    return f"; {count} of them are there with {prefix + '.'!r} before the name: take it off, or is this a part of another model?"


class _Backbones:
    """From a configuration's class to that of an encoder's backbone: where a model has a decoder too, its encoder alone."""

    _ENCODERS: Mapping[str, str] = {
        "longt5": "LongT5EncoderModel",
        "mt5": "MT5EncoderModel",
        "t5": "T5EncoderModel",
        "umt5": "UMT5EncoderModel",
    }

    def __contains__(self, kind: type[PretrainedConfig]) -> bool:
        return kind in MODEL_MAPPING

    def __getitem__(self, kind: type[PretrainedConfig]) -> Any:
        name = self._ENCODERS.get(kind.model_type)
        return MODEL_MAPPING[kind] if name is None else getattr(transformers, name)


def build_backbone(config: PretrainedConfig, weights: Mapping[str, Tensor], where: str) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """An encoder's backbone, as ``build`` makes it; without a pooler, which it never uses, where the weights have none.

    Raises:
        ModelError: as ``build``.
    """
    with torch.random.fork_rng(devices=[]):  # a pooler that is thrown away again
        model, unused = build(config, weights, where, mapping=_Backbones(), may_lack=r"pooler\..*")
    if not any(re.search(r"(^|\.)pooler\.", name) for name in weights) and getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]
    return model, unused


def some(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def load_tokenizer(folder: Path, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    """The tokeniser of a folder.

    Args:
        folder: with the tokeniser's files.
        config: of the model that it belongs to, which tells its kind where the files do not.

    Raises:
        ModelError: there is none.
    """
    try:
        with quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                str(folder), config=config, local_files_only=True, trust_remote_code=False
            )
            _ = tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.unk_token_id
    except RecursionError:  # transformers takes the unknown token for it, which is not there either
        raise ModelError(f"{folder}: the tokeniser names special tokens that are not in its vocabulary") from None
    except Exception as error:  # the tokenisers' own code and the parsers below it raise anything
        raise ModelError(f"{folder}: the tokeniser does not load: {error}") from error
    if tokenizer.truncation_side != "right":
        logger.warning("%s: its tokeniser cuts long texts at their beginning (truncation_side); here they are cut at their end", folder)
        tokenizer.truncation_side = "right"
    last = max(tokenizer.get_vocab().values(), default=0)
    if last >= config.vocab_size:
        raise ModelError(f"{folder}: the tokeniser's ids go up to {last}, the model has embeddings for {config.vocab_size} tokens only")
    return tokenizer


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the progress bars and load reports of transformers, whose findings are checked here."""
    bars, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
