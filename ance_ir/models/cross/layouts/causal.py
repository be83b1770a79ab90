"""A language model that answers "yes" or "no" (Qwen3-Reranker), also with sentence-transformers' ``LogitScore``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ance_ir.errors import ModelError
from ance_ir.files import write_json
from ance_ir.models.cross.activations import ACTIVATIONS, score_of
from ance_ir.models.cross.answers import answer_log_odds, answer_tokens, facts, keep_answers_alone
from ance_ir.models.cross.chat import chat_of_template, template_of_chat
from ance_ir.models.cross.layout import Choices, Files, Layout, Parts, longest, pair_length, write_sentence_files
from ance_ir.models.cross.pairs import JoinedPairs, PairSettings, PairTokenizer, template_places
from ance_ir.models.cross.prompted import PromptedPairs
from ance_ir.models.cross.published import published_settings
from ance_ir.models.loading.sentence_transformers import CAUSAL_TRANSFORMER, LOGIT_SCORE, PROCESSING
from ance_ir.models.loading.weight_files import read_settings
from ance_ir.models.loading.weights import build

_SCORE = "LogitScore"


class Causal(Layout):
    """See the module."""

    order = 1
    classes = MODEL_FOR_CAUSAL_LM_MAPPING
    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    def recognises(self, files: Files) -> bool:
        """By its class, or by the module."""
        return _SCORE in files.kinds or any(name.endswith("ForCausalLM") for name in files.architectures)

    def build(self, files: Files, choices: Choices) -> tuple[PreTrainedModel, tuple[str, ...]]:
        """The language model with its output layer."""
        if files.kinds not in ([], ["Transformer"], ["Transformer", _SCORE]):
            raise ModelError(
                f"{files.folder}: modules.json names {', '.join(files.kinds)}; only a Transformer and its {_SCORE} are followed"
            )
        return build(files.config(), files.weights, files.name, mapping=self.classes, may_lack="")

    def read_settings(self, files: Files, choices: Choices, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PairSettings:
        """The template and the answers: the caller's, the folder's, or those of the table."""
        module = files.sentence_config(CAUSAL_TRANSFORMER)
        if files.modules and "message" not in module.get("modality_config", {"message": {}}):
            own: dict[str, Any] = {"query_prefix": files.prompt}  # the tokeniser joins the two texts
        else:
            own = self._templated(files, choices, module, tokenizer) or dict(
                published_settings(files.name, model.config.model_type, choices.settings)
            )
        if _SCORE in files.kinds:
            own["answers"] = _answers(files, tokenizer)
        said = module.get("max_seq_length") or min(own.pop("pair_length", tokenizer.model_max_length), tokenizer.model_max_length)
        return PairSettings(
            pair_length=pair_length(said, model, tokenizer),
            lower_case=bool(module.get("do_lower_case")),
            score="logit" if "score" in choices.settings else score_of(files.whole_model.get("activation_fn"), 1, files.folder),
            **{"answers": ("yes", "no"), **own},
        )

    def _templated(self, files: Files, choices: Choices, module: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """The template and the instruction of the folder's chat template, if a pair has a place in it; nothing where the caller has one."""
        if choices.settings.get("template"):
            return {}
        processing = module.get("processing_kwargs") or {}
        PROCESSING.check(files.folder / "sentence_bert_config.json", processing)
        arguments = processing.get("chat_template") or {}
        arguments = {name: value for name, value in arguments.items() if name != "restore_suffix"}  # which is done in any case
        found = template_of_chat(tokenizer, arguments, choices.settings.get("instruction") or files.prompt or None)
        if found is None:
            return {}
        template, instruction = found
        placed = "instruction" in template_places(template)
        return {"template": template, "instruction": (files.prompt or instruction) if placed else ""}

    def pairs(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: PairSettings) -> PairTokenizer:
        """By the template, which has special tokens of its own; without one, as the tokeniser joins two texts."""
        keep_answers_alone(model)
        answer_tokens(tokenizer, settings.answers)
        if settings.template:
            return PromptedPairs(tokenizer, settings, longest(model, tokenizer), special_tokens=False)
        return JoinedPairs(tokenizer, settings, longest(model, tokenizer), token_types=False)

    def log_odds(
        self, model: PreTrainedModel, tokenizer: PairTokenizer, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None
    ) -> Tensor:
        """Of the answer after the last token; padding comes after it, so that it changes nothing."""
        tokens = answer_tokens(tokenizer.tokenizer, tokenizer.settings.answers)
        return answer_log_odds(model, tokens, mask_BL.sum(dim=1) - 1, input_ids=ids_BL, attention_mask=mask_BL)

    def facts(self, model: PreTrainedModel, settings: PairSettings) -> dict[str, str]:
        """The answers."""
        return facts(settings.answers)

    def write(self, parts: Parts, folder: Path) -> None:
        """As sentence-transformers 6 opens it, with the template as its chat template, and ``AutoModelForCausalLM``."""
        settings, tokenizer = parts.settings, parts.tokenizer
        parts.write_model(folder)
        before = tokenizer.chat_template
        if settings.template:
            tokenizer.chat_template = chat_of_template(settings.template, settings.instruction)
        try:
            tokenizer.save_pretrained(folder)
        finally:
            tokenizer.chat_template = before
        prompt = settings.instruction if settings.template else settings.query_prefix
        write_sentence_files(
            folder,
            parts,
            "text-generation",
            "causal_logits",
            chat=bool(settings.template),
            prompt=prompt,
            activation=ACTIVATIONS[settings.score],
        )
        place = f"1_{_SCORE}"
        modules = [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
            {"idx": 1, "name": "1", "path": place, "type": f"sentence_transformers.cross_encoder.modules.logit_score.{_SCORE}"},
        ]
        write_json(folder / "modules.json", modules)
        tokens = [*answer_tokens(tokenizer, settings.answers), None][:2]
        (folder / place).mkdir()
        write_json(folder / place / "config.json", {"true_token_id": tokens[0], "false_token_id": tokens[1]})


def _answers(files: Files, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The tokens in a ``LogitScore``."""
    path = files.folder / str(files.modules[1].get("path")) / "config.json"
    said = read_settings(path)
    LOGIT_SCORE.check(path, said)
    ids = [said[name] for name in ("true_token_id", "false_token_id") if said.get(name) is not None]
    if said.get("true_token_id") is None or max(ids) >= len(tokenizer):
        raise ModelError(f"{path}: true_token_id and false_token_id are ids of tokens, below {len(tokenizer)}, not {ids}")
    return tuple(str(token) for token in tokenizer.convert_ids_to_tokens(ids))


LAYOUT = Causal()
