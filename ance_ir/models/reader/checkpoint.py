"""Readers on disk: a Hugging Face folder, of a ``DPRReader`` or of a model for question answering, and what this package adds to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from torch import Tensor
from transformers import (
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    DPRConfig,
    DPRReader,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ance_ir.errors import ModelError
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.checkpoint import Checkpoint, Origin, find_folder
from ance_ir.models.loading.family import SETTINGS, family_of, read_ours, write_ours
from ance_ir.models.loading.provenance import read_provenance
from ance_ir.models.loading.weight_files import read_weights
from ance_ir.models.loading.weights import build, load_config, load_tokenizer, quiet_transformers, reading
from ance_ir.models.reader.text import ReaderSettings

FreshHead = Literal["dpr", "qa"]
_REMEDY = "fresh_head='dpr' or 'qa' (--fresh-head) gives its backbone a new head, to be trained"

_PREDICTOR = "span_predictor."
_DPR_LENGTH = 350
"""What DPR's readers were trained with."""
_HEAD = re.compile(r"(qa_outputs|classifier|pre_classifier|(\w+\.)?pooler)\..*")
"""What other tasks add to a backbone, and the head that a fresh one takes the place of."""


def read_reader(name: str, *, fresh_head: FreshHead | None, seed: int) -> Checkpoint[ReaderSettings]:
    """Open a checkpoint; see ``Reader.from_pretrained``."""
    with reading(name):
        folder = find_folder(name, "reader", fresh_head=fresh_head is not None, remedy=_REMEDY)
        ours = read_ours(folder) if family_of(folder) == "reader" else None
        config, weights = load_config(folder), read_weights(folder)
        tokenizer = load_tokenizer(folder, config)
        if fresh_head is None:
            model, unused = _trained(config, weights, name)
        else:
            with seeded(seed):
                model, unused = _fresh(config, weights, name, fresh_head)
            model = model.float()
        if ours is not None:
            settings = ReaderSettings.from_json(ours.get("settings"))
        elif isinstance(model, DPRReader):
            settings = ReaderSettings(pair_length=min(_DPR_LENGTH, longest(model, tokenizer)), overlap=None)
        else:
            settings = ReaderSettings(pair_length=min(ReaderSettings.pair_length, longest(model, tokenizer)))
    source = SETTINGS if ours is not None else "what its layout was trained with"
    origin = Origin(layout="reader", settings=source, unused=unused, provenance=read_provenance(folder, name))
    return Checkpoint(model=model, tokenizer=tokenizer, settings=settings, origin=origin)


def _trained(config: PretrainedConfig, weights: Mapping[str, Tensor], name: str) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model with the checkpoint's own head."""
    if isinstance(config, DPRConfig):
        if not any(key.startswith(_PREDICTOR) for key in weights):
            raise ModelError(f"{name} is one of DPR's two towers, not its reader")
        return build(config, weights, name, mapping={DPRConfig: DPRReader}, may_lack="")
    if not any(key.startswith("qa_outputs.") for key in weights):
        raise ModelError(f"{name} has no head for question answering ({config.model_type}), so it is no reader; {_REMEDY}")
    if config.num_labels != 2:
        raise ModelError(f"{name}: a reader has two logits a token, start and end; this model has {config.num_labels}")
    return build(config, weights, name, mapping=MODEL_FOR_QUESTION_ANSWERING_MAPPING, may_lack="")


def _fresh(config: PretrainedConfig, weights: Mapping[str, Tensor], name: str, head: FreshHead) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model with a new head."""
    weights = {key: value for key, value in weights.items() if not _HEAD.fullmatch(key)}
    if head == "qa":
        config.num_labels = 2
        return build(config, weights, name, mapping=MODEL_FOR_QUESTION_ANSWERING_MAPPING, may_lack=r"qa_outputs\..*")
    if config.model_type != "bert":
        raise ModelError(f"{name}: DPR's reader is a BERT, this is a {config.model_type}; fresh_head='qa' (--fresh-head qa) takes any")
    alike = DPRConfig().to_dict().keys() - {"model_type", "transformers_version", "architectures", "projection_dim"}
    dpr = DPRConfig(**{key: value for key, value in config.to_dict().items() if key in alike}, projection_dim=0)
    own = {f"{_PREDICTOR}encoder.bert_model.{key.removeprefix('bert.')}": value for key, value in weights.items()}
    return build(dpr, own, name, mapping={DPRConfig: DPRReader}, may_lack=rf"{re.escape(_PREDICTOR)}qa_(outputs|classifier)\..*")


def backbone_of(model: PreTrainedModel) -> PreTrainedModel:
    """The backbone of a reader."""
    backbone = model.span_predictor.encoder.bert_model if isinstance(model, DPRReader) else model.base_model
    assert isinstance(backbone, PreTrainedModel)
    return backbone


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that a reader and its tokeniser take."""
    return min(tokenizer.model_max_length, positions(backbone_of(model)))


def write_reader(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: ReaderSettings, folder: Path) -> None:
    """Write a checkpoint, as transformers opens it too."""
    with quiet_transformers():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_ours(folder, kind="reader", settings=asdict(settings))
