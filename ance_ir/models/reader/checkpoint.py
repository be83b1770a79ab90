"""Readers on disk: a Hugging Face folder, of a ``DPRReader`` or of a model for question answering, and what this package adds to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import (
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    DPRConfig,
    DPRReader,
    PretrainedConfig,
    PreTrainedModel,
)

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.files import write_json
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.dense.card import describe_backbone, said, table
from ance_ir.models.loading.foreign import contents, no_checkpoint, refuse_partial
from ance_ir.models.loading.saving import model_folder
from ance_ir.models.loading.source import expanded, resolve
from ance_ir.models.loading.weight_files import architectures, read_settings, read_weights
from ance_ir.models.loading.weights import FAULTS, build, load_config, load_tokenizer, quiet_transformers
from ance_ir.models.reader.model import FreshHead, Reader, longest
from ance_ir.models.reader.text import Layout, ReaderSettings
from ance_ir.models.text.settings import settings_of

SETTINGS = "ance_ir.json"
FORMAT = 1
KIND = "reader"

_PREDICTOR = "span_predictor."
_DPR_LENGTH = 350
"""What DPR's readers were trained with."""
_HEAD = re.compile(r"(qa_outputs|classifier|pre_classifier|(\w+\.)?pooler)\..*")
"""What other tasks add to a backbone, and the head that a fresh one takes the place of."""


def load_reader(name: str, changes: Mapping[str, Any], *, fresh_head: FreshHead | None, seed: int) -> Reader:
    """Open a checkpoint; see ``Reader.from_pretrained``."""
    try:
        return _load(name, changes, fresh_head=fresh_head, seed=seed)
    except FAULTS as error:
        if isinstance(error, AnceError):
            raise
        raise ModelError(f"{name}: the checkpoint does not load: {error}") from error


def is_reader(folder: Path) -> bool:
    """Whether a folder says that it holds a reader."""
    if (folder / SETTINGS).exists():
        return bool(read_settings(folder / SETTINGS).get("kind") == KIND)
    if not (folder / "config.json").exists():
        return False
    return any(name.endswith(("ForQuestionAnswering", "DPRReader")) for name in architectures(folder))


def _load(name: str, changes: Mapping[str, Any], *, fresh_head: FreshHead | None, seed: int) -> Reader:
    name = expanded(name)
    folder = resolve(name)
    if folder.is_file():
        raise ModelError(f"{folder} is {contents(folder) or 'a file'}; the folder of a reader was expected")
    refuse_partial(folder)
    if not (folder / "config.json").exists():
        raise no_checkpoint(folder)
    if Path(name).is_dir():
        name = str(Path(name).resolve())
    config, weights = load_config(folder), read_weights(folder)
    tokenizer = load_tokenizer(folder, config)
    layout: Layout = fresh_head or ("dpr" if isinstance(config, DPRConfig) else "qa")
    if fresh_head is None:
        model, unused = _trained(config, weights, name)
    else:
        with seeded(seed):
            model, unused = _fresh(config, weights, name, fresh_head)
        model = model.float()
    said = _our_settings(folder) or {
        "pair_length": min(_DPR_LENGTH if layout == "dpr" else ReaderSettings.pair_length, longest(model, tokenizer)),
        "overlap": None if layout == "dpr" else ReaderSettings.overlap,
    }
    known = [field.name for field in fields(ReaderSettings)]
    for setting in {*said, *changes} - {*known}:
        raise UsageError(f"unknown setting {setting!r}; the settings of a reader are {', '.join(known)}")
    return Reader(model, tokenizer, ReaderSettings(**{**said, **changes}), layout=layout, name=name, unused=unused)


def _trained(config: PretrainedConfig, weights: Mapping[str, Tensor], name: str) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model with the checkpoint's own head."""
    if isinstance(config, DPRConfig):
        if not any(key.startswith(_PREDICTOR) for key in weights):
            raise ModelError(f"{name} is one of DPR's two towers, not its reader")
        return build(config, weights, name, mapping={DPRConfig: DPRReader}, may_lack="")
    if not any(key.startswith("qa_outputs.") for key in weights):
        raise ModelError(
            f"{name} has no head for question answering ({config.model_type}), so it is no reader; "
            "fresh_head='dpr' or 'qa' (--fresh-head) gives it a new one, to be trained"
        )
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


def _our_settings(folder: Path) -> dict[str, Any] | None:
    """The settings that this package saved, where it saved a reader there."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    saved = read_settings(path)
    if saved.get("format") != FORMAT:
        raise ModelError(f"{path}: format {saved.get('format')!r} is not {FORMAT}; a newer version of this package wrote it")
    return settings_of(ReaderSettings, saved.get("settings")) if saved.get("kind") == KIND else None


def save_reader(reader: Reader, folder: Path) -> None:
    """Write a checkpoint folder, whole or not at all; see ``Reader.save``."""
    with model_folder(folder, SETTINGS) as target:
        with quiet_transformers():
            reader.model.save_pretrained(target)
        reader.tokenizer.tokenizer.save_pretrained(target)
        write_json(target / SETTINGS, {"format": FORMAT, "kind": KIND, "settings": asdict(reader.settings)})
        (target / "README.md").write_text(reader_card(reader), encoding="utf-8")


def describe_reader(reader: Reader) -> dict[str, str]:
    """Properties of a reader in words, its fingerprint last; the settings are ``ReaderSettings``'."""
    heads = {"dpr": "start, end and relevance, as DPR's", "qa": "start and end; relevance from their scores"}
    return {
        "backbone": describe_backbone(reader.model, reader),
        "head": heads[reader.layout],
        "longest": f"{reader.tokenizer.longest} tokens",
        "fingerprint": reader.fingerprint(),
    }


def reader_card(reader: Reader) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    return f"""---
library_name: transformers
pipeline_tag: question-answering
tags: [ance_ir, reader]
---

# A reader

Trained or saved with `ance_ir`.

{table(describe_reader(reader))}

Settings:

{table(said(asdict(reader.settings)))}

```python
from ance_ir import Reader

reader = Reader.from_pretrained("this/folder")
found = reader.read(["who reads"], ["A reader reads passages and finds the answer in them."])
print(found.answers[0])
```
"""
