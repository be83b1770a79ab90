"""Cross-encoders on disk: a Hugging Face sequence-classification folder, with what sentence-transformers and this package add to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
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

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.files import write_json
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.cross.card import cross_encoder_card
from ance_ir.models.cross.model import CrossEncoder
from ance_ir.models.cross.pairs import PairSettings, Score
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.foreign import contents, no_checkpoint, refuse_partial
from ance_ir.models.loading.saving import model_folder
from ance_ir.models.loading.sentence_transformers import CROSS_ENCODER, CROSS_ENCODER_IN_CONFIG, CROSS_TRANSFORMER, MODULE, prompts_of
from ance_ir.models.loading.source import expanded, resolve
from ance_ir.models.loading.weight_files import architectures, pools, read_settings, read_value, read_weights
from ance_ir.models.loading.weights import FAULTS, build, load_config, load_tokenizer, quiet_transformers
from ance_ir.models.text.settings import settings_of

SETTINGS = "ance_ir.json"
FORMAT = 1
KIND = "cross-encoder"

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


def load_cross_encoder(name: str, changes: Mapping[str, Any], *, fresh_head: bool, seed: int) -> CrossEncoder:
    """Open a checkpoint; see ``CrossEncoder.from_pretrained``."""
    try:
        return _load(name, changes, fresh_head=fresh_head, seed=seed)
    except FAULTS as error:
        if isinstance(error, AnceError):
            raise
        raise ModelError(f"{name}: the checkpoint does not load: {error}") from error


def _load(name: str, changes: Mapping[str, Any], *, fresh_head: bool, seed: int) -> CrossEncoder:
    name = expanded(name)
    folder = resolve(name)
    if folder.is_file():
        raise ModelError(f"{folder} is {contents(folder) or 'a file'}; the folder of a reranker was expected")
    refuse_partial(folder)
    if not (folder / "config.json").exists():
        raise no_checkpoint(folder)
    if Path(name).is_dir():
        name = str(Path(name).resolve())
    ours = _our_settings(folder)
    _check_modules(folder, fresh_head)
    weights = read_weights(folder)
    config = load_config(folder, _architecture(weights))
    tokenizer = load_tokenizer(folder, config)
    if fresh_head:
        config.num_labels = 1
        weights = {key: value for key, value in weights.items() if not _HEAD.fullmatch(key)}
        with seeded(seed):
            classifier, unused = _classifier(config, weights, name, may_lack=_MAY_BE_FRESH)
        classifier = classifier.float()
    else:
        if not any(_HEAD.fullmatch(key) for key in weights):
            raise ModelError(
                f"{name} has no classification head ({config.model_type}), so it is no reranker; "
                "head='fresh' (--fresh-head) gives it a new one, to be trained"
            )
        classifier, unused = _classifier(config, weights, name, may_lack="")
    said = ours if ours is not None else _foreign_settings(folder, config, tokenizer, positions(classifier.base_model))
    if ours is None and "score" not in changes:
        said["score"] = "logit" if fresh_head else _score(folder, config)
    known = [field.name for field in fields(PairSettings)]
    for setting in {*said, *changes} - {*known}:
        raise UsageError(f"unknown setting {setting!r}; the settings of a cross-encoder are {', '.join(known)}")
    return CrossEncoder(classifier, tokenizer, PairSettings(**{**said, **changes}), name=name, unused=unused)


def is_cross_encoder(folder: Path) -> bool:
    """Whether a folder says that it holds a reranker."""
    if (folder / SETTINGS).exists():
        return bool(read_settings(folder / SETTINGS).get("kind") == KIND)
    if not (folder / "config.json").exists():
        return False
    if pools(folder):
        return False  # an encoder of sentence-transformers that began as a classifier
    return any(name.endswith("ForSequenceClassification") for name in architectures(folder))


def save_cross_encoder(model: CrossEncoder, folder: Path) -> None:
    """Write a checkpoint folder, whole or not at all; see ``CrossEncoder.save``."""
    labels = model.classifier.config.num_labels
    kind = "linear.Identity" if model.settings.score == "logit" else ("activation.Sigmoid" if labels == 1 else "activation.Softmax")
    activation = {"activation_fn": f"torch.nn.modules.{kind}"}
    prompts = {"query": model.settings.query_prefix} if model.settings.query_prefix else {}
    with model_folder(folder, SETTINGS) as target:
        before = getattr(model.classifier.config, "sentence_transformers", None)
        model.classifier.config.sentence_transformers = activation  # where its versions 4 and 5 look
        try:
            with quiet_transformers():
                model.classifier.save_pretrained(target)
        finally:
            model.classifier.config.sentence_transformers = before
        model.tokenizer.tokenizer.save_pretrained(target)
        write_json(target / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
        write_json(
            target / "sentence_bert_config.json",
            {
                "transformer_task": "sequence-classification",
                "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
                "module_output_name": "scores",
                "max_seq_length": model.settings.pair_length,
                "do_lower_case": model.settings.lower_case,
            },
        )
        write_json(
            target / "config_sentence_transformers.json",
            {"model_type": "CrossEncoder", **activation, "prompts": prompts, "default_prompt_name": "query" if prompts else None},
        )
        write_json(target / SETTINGS, {"format": FORMAT, "kind": KIND, "settings": asdict(model.settings)})
        (target / "README.md").write_text(cross_encoder_card(model), encoding="utf-8")


def _classifier(
    config: PretrainedConfig, weights: Mapping[str, Tensor], where: str, *, may_lack: str
) -> tuple[PreTrainedModel, tuple[str, ...]]:
    return build(config, weights, where, mapping=MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, may_lack=may_lack)


def _architecture(weights: Mapping[str, Tensor]) -> str | None:
    """The model type by the weights' names, for configurations that name none: ``bert.encoder…``."""
    return next((name for name in (key.split(".")[0] for key in weights) if name in CONFIG_MAPPING), None)


def _our_settings(folder: Path) -> dict[str, Any] | None:
    """The settings that this package saved, where it saved the folder."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    saved = read_settings(path)
    if saved.get("format") != FORMAT:
        raise ModelError(f"{path}: format {saved.get('format')!r} is not {FORMAT}; a newer version of this package wrote it")
    if saved.get("kind") != KIND:
        return None
    return settings_of(PairSettings, saved.get("settings"))


def _foreign_settings(folder: Path, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, longest: int) -> dict[str, Any]:
    """What a checkpoint of another package says of its settings."""
    files = sorted(folder.glob("sentence_*_config.json"))
    module = read_settings(files[0]) if files else {}
    if files:
        CROSS_TRANSFORMER.check(files[0], module)
    whole = _whole_model(folder)
    limit = module.get("max_seq_length")
    if limit is None:
        limit = tokenizer.model_max_length if tokenizer.model_max_length < _NO_LIMIT else _DEFAULT_LENGTH
    _, prompt = prompts_of(folder / "config_sentence_transformers.json", whole)
    return {
        "pair_length": min(limit, longest),
        "lower_case": bool(module.get("do_lower_case")),
        "query_prefix": prompt,
        "relevant_class": _relevant_class(config),
    }


def _whole_model(folder: Path) -> dict[str, Any]:
    """What sentence-transformers says of a cross-encoder beside its modules; nothing where the folder is none of its."""
    path = folder / "config_sentence_transformers.json"
    said = read_settings(path) if path.exists() else {}
    if said.get("model_type") != "CrossEncoder":
        return {}  # what is left of an encoder
    CROSS_ENCODER.check(path, said)
    return said


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


def _check_modules(folder: Path, fresh_head: bool) -> None:
    """Refuse modules after the transformer; a fresh head takes their place."""
    if fresh_head or not (folder / "modules.json").exists():
        return
    modules = read_value(folder / "modules.json")
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{folder / 'modules.json'}: expected a list of modules")
    for module in modules:
        MODULE.check(folder / "modules.json", module)
    kinds = [str(module.get("type")).rsplit(".", 1)[-1] for module in modules]
    if kinds != ["Transformer"]:
        raise ModelError(
            f"{folder}: modules.json names {', '.join(kinds)}; a reranker is a Transformer with a classification head. "
            "head='fresh' (--fresh-head) gives the transformer a new one, to be trained"
        )
