"""A Hugging Face model for sequence classification, with one logit or two, also as sentence-transformers saves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from ance_ir.errors import ModelError
from ance_ir.models.compute.precision import keep_in_float32
from ance_ir.models.compute.randomness import seeded
from ance_ir.models.cross.activations import ACTIVATIONS, score_of
from ance_ir.models.cross.graph import graph_of
from ance_ir.models.cross.layout import Choices, Files, Layout, Parts, longest, pair_length, write_sentence_files
from ance_ir.models.cross.pairs import JoinedPairs, PairSettings, PairTokenizer, Score
from ance_ir.models.cross.prompted import PromptedPairs
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.backbones import has_token_types
from ance_ir.models.loading.sentence_transformers import CROSS_ENCODER_IN_CONFIG, CROSS_TRANSFORMER
from ance_ir.models.loading.weight_files import HEADS
from ance_ir.models.loading.weights import build

_MAY_BE_FRESH = rf"{HEADS.pattern}|(.*\.)?pooler\..*"

_OF_TWO: dict[Score, str] = {
    "probability": "torch.nn.modules.activation.Softmax",
    "log-probability": "torch.nn.modules.activation.LogSoftmax",
}

_RELEVANT = {"relevant", "positive", "true", "yes", "1"}


class Classifier(Layout):
    """See the module."""

    order = 9
    classes = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    names = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    remedy = "fresh_head='logit' (--fresh-head) gives its backbone a new head, to be trained"

    def recognises(self, files: Files) -> bool:
        """Whatever no other layout recognises, so that what is missing is named."""
        return True

    def build(self, files: Files, choices: Choices) -> tuple[PreTrainedModel, tuple[str, ...]]:
        """With the checkpoint's own head, or with a new one."""
        if not choices.fresh_head and files.kinds not in ([], ["Transformer"]):
            raise ModelError(
                f"{files.folder}: modules.json names {', '.join(files.kinds)}; a reranker is a Transformer with a classification head, "
                f"or a language model and its LogitScore; {self.remedy}"
            )
        config, name = files.config(_architecture(files.weights)), files.name
        if not choices.fresh_head:
            if not any(HEADS.fullmatch(key) for key in files.weights):
                raise ModelError(f"{name} has no classification head ({config.model_type}), so it is no reranker; {self.remedy}")
            return build(config, files.weights, name, mapping=self.classes, may_lack="")
        config.num_labels = 1
        own = {key: value for key, value in files.weights.items() if not HEADS.fullmatch(key)}
        with seeded(choices.seed):
            model, unused = build(config, own, name, mapping=self.classes, may_lack=_MAY_BE_FRESH)
        return model.float(), unused

    def read_settings(self, files: Files, choices: Choices, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PairSettings:
        """Lengths, prompt and score."""
        module = files.sentence_config(CROSS_TRANSFORMER)
        asks = "score" not in choices.settings and not choices.fresh_head
        return PairSettings(
            pair_length=pair_length(module.get("max_seq_length"), model, tokenizer),
            lower_case=bool(module.get("do_lower_case")),
            query_prefix=files.prompt,
            relevant_class=_relevant_class(model.config),
            score=_score(files, model.config) if asks else "logit",
        )

    def pairs(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: PairSettings) -> PairTokenizer:
        """The tokeniser's own pairs, unless there is a template."""
        labels = model.config.num_labels
        if labels not in (1, 2):
            raise ModelError(f"a reranker has one logit or two, this model has {labels}")
        linear = [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == labels]
        if linear:
            keep_in_float32(linear[-1])
        if settings.template:
            return PromptedPairs(tokenizer, settings, longest(model, tokenizer), special_tokens=True)
        return JoinedPairs(tokenizer, settings, longest(model, tokenizer), token_types=has_token_types(model.config, tokenizer))

    def log_odds(
        self, model: PreTrainedModel, tokenizer: PairTokenizer, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None
    ) -> Tensor:
        """The only logit, or the relevant class's less the other's."""
        logits_BC = _logits(model, ids_BL, mask_BL, types_BL)
        relevant = tokenizer.settings.relevant_class
        log_odds_B: Tensor = logits_BC[:, 0] if logits_BC.shape[1] == 1 else logits_BC[:, relevant] - logits_BC[:, 1 - relevant]
        return log_odds_B

    def facts(self, model: PreTrainedModel, settings: PairSettings) -> dict[str, str]:
        """How many logits there are."""
        return {"logits": "one" if model.config.num_labels == 1 else f"two; class {settings.relevant_class} is the relevant one"}

    def write(self, parts: Parts, folder: Path) -> None:
        """As sentence-transformers 4 to 6 and ``AutoModelForSequenceClassification`` open it too."""
        activations = ACTIVATIONS if parts.model.config.num_labels == 1 else {**ACTIVATIONS, **_OF_TWO}
        activation = activations[parts.settings.score]
        before = getattr(parts.model.config, "sentence_transformers", None)
        parts.model.config.sentence_transformers = {"activation_fn": activation}  # where its versions 4 and 5 look
        try:
            parts.write_model(folder)
        finally:
            parts.model.config.sentence_transformers = before
        parts.tokenizer.save_pretrained(folder)
        prompt = parts.settings.query_prefix
        write_sentence_files(folder, parts, "sequence-classification", "scores", prompt=prompt, activation=activation)

    def graph(self, model: PreTrainedModel, tokenizer: PairTokenizer) -> Graph:
        """Its logits, as sentence-transformers wants them."""
        return graph_of(model, tokenizer, _logits, int(model.config.num_labels or 2), elsewhere=True)

    def write_for_export(self, parts: Parts, folder: Path) -> None:
        """As sentence-transformers' backends open it too."""
        self.write(parts, folder)


def _logits(model: PreTrainedModel, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None) -> Tensor:
    """Logits, float32 ``[B, C]``."""
    types = {} if types_BL is None else {"token_type_ids": types_BL}
    logits_BC: Tensor = model(input_ids=ids_BL, attention_mask=mask_BL, **types).logits.float()
    return logits_BC


def _architecture(weights: Mapping[str, Tensor]) -> str | None:
    """The model type by the weights' names, for configurations that name none: ``bert.encoder…``."""
    return next((name for name in (key.split(".")[0] for key in weights) if name in CONFIG_MAPPING), None)


def _score(files: Files, config: PretrainedConfig) -> Score:
    """What the checkpoint's activation function makes of its logits; the logit where it names none."""
    inside: dict[str, Any] = getattr(config, "sentence_transformers", None) or {}
    CROSS_ENCODER_IN_CONFIG.check(files.folder / "config.json", inside)
    path = (
        files.whole_model.get("activation_fn")
        or inside.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    return score_of(path, config.num_labels or 0, files.folder)


def _relevant_class(config: PretrainedConfig) -> int:
    """1, unless the labels' names say that class 0 is the relevant one."""
    names = [str(name).lower() for _, name in sorted((config.id2label or {}).items())]
    return 0 if len(names) == 2 and names[0] in _RELEVANT and names[1] not in _RELEVANT else 1


LAYOUT = Classifier()
