"""Cross-encoders on disk: a Hugging Face sequence-classification folder, with what sentence-transformers and this package add to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ance_ir.errors import ModelError
from ance_ir.files import write_json
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.cross.pairs import PairSettings, Score
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.checkpoint import Checkpoint, Origin, find_folder
from ance_ir.models.loading.family import SETTINGS, family_of, read_ours, write_ours
from ance_ir.models.loading.sentence_transformers import (
    CROSS_ENCODER,
    CROSS_ENCODER_IN_CONFIG,
    CROSS_TRANSFORMER,
    MODULE,
    prompts_of,
    warn_of_unused,
)
from ance_ir.models.loading.weight_files import read_settings, read_value, read_weights
from ance_ir.models.loading.weights import build, load_config, load_tokenizer, quiet_transformers, reading

_REMEDY = "fresh_head='logit' (--fresh-head) gives its backbone a new head, to be trained"
_HEAD = re.compile(r"(classifier|pre_classifier|score|logits_proj|classification_head|head)\..*")
"""What sequence classification adds to a backbone, by the names that the architectures give it."""
_MAY_BE_FRESH = rf"{_HEAD.pattern}|(.*\.)?pooler\..*"

_ACTIVATIONS: dict[tuple[str, int], Score] = {
    ("Identity", 1): "logit",
    ("Identity", 2): "logit",
    ("Sigmoid", 1): "probability",
    ("Softmax", 2): "probability",
}
"""What sentence-transformers' activation functions make of one logit and of two."""

_RELEVANT = {"relevant", "positive", "true", "yes", "1"}
_NO_LIMIT = 10**6
_DEFAULT_LENGTH = 512


def read_cross_encoder(name: str, *, asks_score: bool, fresh_head: bool, seed: int) -> Checkpoint[PairSettings]:
    """Open a checkpoint; see ``CrossEncoder.from_pretrained``.

    Args:
        name: a path or a hub name.
        asks_score: whether the checkpoint's own score counts, because the caller sets none.
        fresh_head: put a new head with one logit in the place of the checkpoint's, if it has one.
        seed: of the new head's weights.
    """
    with reading(name):
        folder = find_folder(name, "reranker", fresh_head=fresh_head, remedy=_REMEDY)
        ours = read_ours(folder) if not fresh_head or family_of(folder) == "reranker" else None
        if not fresh_head:
            _check_modules(folder)
        weights = read_weights(folder)
        config = load_config(folder, _architecture(weights))
        tokenizer = load_tokenizer(folder, config)
        classifier, unused = _fresh(config, weights, name, seed) if fresh_head else _trained(config, weights, name)
        if ours is not None:
            settings = PairSettings.from_json(ours.get("settings"))
        else:
            settings = _foreign_settings(folder, config, tokenizer, positions(classifier.base_model))
            if asks_score and not fresh_head:
                settings = replace(settings, score=_score(folder, config))
    origin = Origin(layout="reranker", settings=SETTINGS if ours is not None else "the folder's own files", unused=unused)
    return Checkpoint(model=classifier, tokenizer=tokenizer, settings=settings, origin=origin)


def _trained(config: PretrainedConfig, weights: Mapping[str, Tensor], name: str) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model with the checkpoint's own head."""
    if not any(_HEAD.fullmatch(key) for key in weights):
        raise ModelError(f"{name} has no classification head ({config.model_type}), so it is no reranker; {_REMEDY}")
    return build(config, weights, name, mapping=MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, may_lack="")


def _fresh(config: PretrainedConfig, weights: Mapping[str, Tensor], name: str, seed: int) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model with a new head."""
    config.num_labels = 1
    own = {key: value for key, value in weights.items() if not _HEAD.fullmatch(key)}
    with seeded(seed):
        model, unused = build(config, own, name, mapping=MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, may_lack=_MAY_BE_FRESH)
    return model.float(), unused


def write_cross_encoder(classifier: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: PairSettings, folder: Path) -> None:
    """Write a checkpoint, as sentence-transformers 4 to 6 and ``AutoModelForSequenceClassification`` open it too."""
    labels = classifier.config.num_labels
    kind = "linear.Identity" if settings.score == "logit" else ("activation.Sigmoid" if labels == 1 else "activation.Softmax")
    activation = {"activation_fn": f"torch.nn.modules.{kind}"}
    prompts = {"query": settings.query_prefix} if settings.query_prefix else {}
    before = getattr(classifier.config, "sentence_transformers", None)
    classifier.config.sentence_transformers = activation  # where its versions 4 and 5 look
    try:
        with quiet_transformers():
            classifier.save_pretrained(folder)
    finally:
        classifier.config.sentence_transformers = before
    tokenizer.save_pretrained(folder)
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
    write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
            "module_output_name": "scores",
            "max_seq_length": settings.pair_length,
            "do_lower_case": settings.lower_case,
        },
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", **activation, "prompts": prompts, "default_prompt_name": "query" if prompts else None},
    )
    write_ours(folder, kind="cross-encoder", settings=asdict(settings))


def _architecture(weights: Mapping[str, Tensor]) -> str | None:
    """The model type by the weights' names, for configurations that name none: ``bert.encoder…``."""
    return next((name for name in (key.split(".")[0] for key in weights) if name in CONFIG_MAPPING), None)


def _foreign_settings(folder: Path, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, longest: int) -> PairSettings:
    """What a checkpoint of another package says of its settings, but for the score."""
    files = sorted(folder.glob("sentence_*_config.json"))
    module = read_settings(files[0]) if files else {}
    if files:
        CROSS_TRANSFORMER.check(files[0], module)
    whole = _whole_model(folder)
    limit = module.get("max_seq_length")
    if limit is None:
        limit = tokenizer.model_max_length if tokenizer.model_max_length < _NO_LIMIT else _DEFAULT_LENGTH
    prompts, prompt = prompts_of(folder / "config_sentence_transformers.json", whole)
    if not whole.get("default_prompt_name"):
        warn_of_unused(folder / "config_sentence_transformers.json", prompts, "query_prefix={prompt!r}")
    return PairSettings(
        pair_length=min(limit, longest),
        lower_case=bool(module.get("do_lower_case")),
        query_prefix=prompt,
        relevant_class=_relevant_class(config),
    )


def _whole_model(folder: Path) -> dict[str, Any]:
    """The settings of a whole cross-encoder of sentence-transformers; none in folders that it did not write."""
    path = folder / "config_sentence_transformers.json"
    settings = read_settings(path) if path.exists() else {}
    if settings.get("model_type") != "CrossEncoder":
        return {}  # left over from an encoder
    CROSS_ENCODER.check(path, settings)
    return settings


def _score(folder: Path, config: PretrainedConfig) -> Score:
    """What the checkpoint's activation function makes of its logits; the logit where it names none."""
    inside = getattr(config, "sentence_transformers", None) or {}
    CROSS_ENCODER_IN_CONFIG.check(folder / "config.json", inside)
    path = (
        _whole_model(folder).get("activation_fn")
        or inside.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    if path is None:
        return "logit"
    name = str(path).rsplit(".", 1)[-1]
    score = _ACTIVATIONS.get((name, config.num_labels or 0))
    if score is None and config.num_labels in (1, 2):
        raise ModelError(
            f"{folder}: the activation function {path} over {config.num_labels} logits is none of Identity, Sigmoid (of one logit) and "
            "Softmax (of two); score='logit' opens the checkpoint without it"
        )
    return score or "logit"


def _relevant_class(config: PretrainedConfig) -> int:
    """1, unless the labels' names say that class 0 is the relevant one."""
    names = [str(name).lower() for _, name in sorted((config.id2label or {}).items())]
    return 0 if len(names) == 2 and names[0] in _RELEVANT and names[1] not in _RELEVANT else 1


def _check_modules(folder: Path) -> None:
    """Refuse modules after the transformer."""
    if not (folder / "modules.json").exists():
        return
    modules = read_value(folder / "modules.json")
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{folder / 'modules.json'}: expected a list of modules")
    for module in modules:
        MODULE.check(folder / "modules.json", module)
    kinds = [str(module.get("type")).rsplit(".", 1)[-1] for module in modules]
    if kinds != ["Transformer"]:
        raise ModelError(
            f"{folder}: modules.json names {', '.join(kinds)}; a reranker is a Transformer with a classification head; {_REMEDY}"
        )
