"""DPR's two towers as Hugging Face folders, as ANCE's for open-domain questions are too (paper, section 4).

``DPRQuestionEncoder`` and ``DPRContextEncoder``: vectors are the last hidden states at position 0; passages are pairs of title and text;
a question loses its "?".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from transformers import BertConfig, PretrainedConfig, PreTrainedTokenizerBase

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout, longest
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.weight_files import read_settings, read_weights
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.settings import TextSettings

_SIDES = {"question_encoder.": "question", "ctx_encoder.": "context"}
LENGTH = 256


def _towers_in(folder: Path) -> list[Path]:
    """The folders in a folder that hold one of the two towers each."""
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and _is_dpr(inner))


def _is_dpr(folder: Path) -> bool:
    return (folder / "config.json").exists() and read_settings(folder / "config.json").get("model_type") == "dpr"


def _recognises(files: Files) -> bool:
    if len(files.paths) > 1:
        return any(map(_is_dpr, files.paths))
    if files.path.is_file():
        return False
    return _is_dpr(files.path) if files.has("config.json") else len(_towers_in(files.path)) == 2


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    """The folders of a question and a context encoder, in either order."""
    folders = files.paths
    if len(folders) == 1 and _is_dpr(files.path):
        raise ModelError(f"{files.name} is one of DPR's two towers; name both, with a comma between them: QUESTION,CONTEXT")
    if len(folders) == 1:
        folders = tuple(_towers_in(files.path))
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
        towers[_SIDES[prefix]] = (*tower_of(_bert_config(load_config(folder)), own, str(folder)), folder)
    (question, unused_q, home), (context, unused_c, _) = towers["question"], towers["context"]
    return opened("DPR, Hugging Face", question, context, load_tokenizer(home, question.backbone.config), LENGTH, unused_q + unused_c)


def tower_of(config: PretrainedConfig, weights: Mapping[str, Tensor], where: str) -> tuple[Tower, tuple[str, ...]]:
    """A tower, and the names of the weights that have no place in it; ``encode_proj`` is its head, where there is one."""
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


def opened(
    layout: str, question: Tower, context: Tower, tokenizer: PreTrainedTokenizerBase, length: int, unused: tuple[str, ...]
) -> DenseCheckpoint:
    """Two towers, with the text settings of DPR's models; ``length`` is in tokens."""
    length = min(length, longest(tokenizer, question, context))
    return DenseCheckpoint(
        layout=layout,
        query=question,
        passage=context,
        tokenizer=tokenizer,
        settings=TextSettings(query_length=length, passage_length=length, title_pair=True, strip_question_mark=True),
        settings_from="what DPR's models were trained with",
        unused=unused,
    )


LAYOUT = Layout(
    sign="model_type dpr in the config.json of both folders",
    order=4,
    recognises=_recognises,
    open=_open,
)
