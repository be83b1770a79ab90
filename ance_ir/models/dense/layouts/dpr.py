"""DPR's two towers, in which ANCE's models for open-domain questions are published too (paper, section 4).

Either two Hugging Face folders, ``DPRQuestionEncoder`` and ``DPRContextEncoder``, or one file of the original code (``nq.cp``,
``multi.cp``): its fields by name, ``model_dict`` with ``question_model.*`` and ``ctx_model.*`` among them.
Vectors are the last hidden states at position 0; passages are pairs of title and text; a question loses its "?".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import BertConfig, PretrainedConfig, PreTrainedTokenizerBase

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Opened, longest
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weight_files import own_names, read_settings, read_torch, read_weights
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings

_SIDES = {"question_encoder.": "question", "ctx_encoder.": "context"}
_MODELS = ("question_model.", "ctx_model.")
_BACKBONE = "bert-base-uncased"
LENGTH = 256


def is_dpr(folder: Path) -> bool:
    """Whether a folder holds one of the two towers."""
    return (folder / "config.json").exists() and read_settings(folder / "config.json").get("model_type") == "dpr"


def open_dpr(folders: tuple[Path, Path]) -> Opened:
    """Read the folders of a question and a context encoder, in either order.

    Raises:
        ModelError: they are two of a kind, or one of them is something else.
    """
    towers: dict[str, tuple[Tower, tuple[str, ...], Path]] = {}
    for folder in folders:
        refuse_partial(folder)
        weights = read_weights(folder)
        prefix = next((prefix for prefix in _SIDES if any(name.startswith(prefix) for name in weights)), None)
        if prefix is None:
            raise ModelError(f"{folder}: weights of a DPRQuestionEncoder or DPRContextEncoder were expected")
        if _SIDES[prefix] in towers:
            raise ModelError(f"{folders[0]} and {folders[1]} are both a {_SIDES[prefix]} encoder; one of each kind is needed")
        own = {name.removeprefix(prefix).removeprefix("bert_model."): tensor for name, tensor in weights.items()}
        towers[_SIDES[prefix]] = (*_tower(_bert_config(load_config(folder)), own, str(folder)), folder)
    (question, unused_q, home), (context, unused_c, _) = towers["question"], towers["context"]
    return _opened("DPR, Hugging Face", question, context, load_tokenizer(home, question.backbone.config), LENGTH, unused_q + unused_c)


def open_dpr_file(path: Path) -> Opened:
    """Read a file of the original code.

    Configuration and tokeniser are those beside the file, else those of the backbone that it names (``bert-base-uncased``).

    Raises:
        ModelError: the file is of another kind, or would run code when it is read.
    """
    fields = read_torch(path)
    weights = fields.get("model_dict") if isinstance(fields, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelError(f"{path}: a DPR checkpoint was expected, with the weights under model_dict")
    weights = own_names(weights, path)
    told: dict[str, Any] = dict(fields.get("encoder_params") or {})
    beside = (path.parent / "config.json").exists()
    home = path.parent if beside else _resolve_backbone(str(told.get("pretrained_model_cfg") or _BACKBONE), path)
    config = load_config(home)
    towers, unused = [], sorted(name for name in weights if not name.startswith(_MODELS))
    for prefix in _MODELS:
        own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        tower, left = _tower(config, own, f"{path}, {prefix}*")
        towers.append(tower)
        unused += [prefix + name for name in left]
    length = int(told.get("sequence_length") or LENGTH)
    return _opened("DPR, one file", towers[0], towers[1], load_tokenizer(home, config), length, tuple(unused))


def _resolve_backbone(name: str, path: Path) -> Path:
    try:
        return resolve(name)
    except ModelError as error:
        raise ModelError(f"{path} holds weights only; its configuration and tokeniser are those of {name}: {error}") from None


def _tower(config: PretrainedConfig, weights: Mapping[str, Tensor], where: str) -> tuple[Tower, tuple[str, ...]]:
    """A tower and the names of weights it has no use for; ``encode_proj`` is its head, where there is one."""
    projection = {name: weights[f"encode_proj.{name}"] for name in ("weight", "bias") if f"encode_proj.{name}" in weights}
    backbone, unused = build_backbone(
        config, {name: tensor for name, tensor in weights.items() if not name.startswith("encode_proj.")}, where
    )
    head = None
    if projection:
        dimension, width = projection["weight"].shape
        head = Head(width, dimension, norm=False)
        head.linear.load_state_dict(projection)
        head.to(backbone.dtype)
    return Tower(backbone, pooling="cls", head=head), unused


def _bert_config(config: PretrainedConfig) -> BertConfig:
    """The configuration of the BERT within, without what only DPR knows."""
    known = BertConfig().to_dict().keys() - {"model_type", "transformers_version", "architectures"}
    return BertConfig(**{name: value for name, value in config.to_dict().items() if name in known})


def _opened(
    layout: str, question: Tower, context: Tower, tokenizer: PreTrainedTokenizerBase, length: int, unused: tuple[str, ...]
) -> Opened:
    length = min(length, longest(tokenizer, question, context))
    return Opened(
        layout=layout,
        query=question,
        passage=context,
        tokenizer=tokenizer,
        text=TextSettings(query_length=length, passage_length=length, title_pair=True, strip_question_mark=True),
        text_from="what DPR's models were trained with",
        unused=unused,
    )
