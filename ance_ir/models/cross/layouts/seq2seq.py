"""An encoder-decoder (monoT5, mT5) that writes "true" or "false" first."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

from ance_ir.errors import ModelError
from ance_ir.models.cross.answers import answer_log_odds, answer_tokens, facts, keep_answers_alone
from ance_ir.models.cross.layout import Choices, Files, Layout, Parts, longest, pair_length
from ance_ir.models.cross.pairs import PairSettings, PairTokenizer
from ance_ir.models.cross.prompted import PromptedPairs
from ance_ir.models.cross.published import published_settings
from ance_ir.models.loading.weights import build


class Seq2Seq(Layout):
    """See the module."""

    order = 2
    elsewhere = False
    classes = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    names = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

    def recognises(self, files: Files) -> bool:
        """By its class."""
        return not self.class_names.isdisjoint(files.architectures)

    def build(self, files: Files, choices: Choices) -> tuple[PreTrainedModel, tuple[str, ...]]:
        """Encoder, decoder and output layer."""
        model, unused = build(files.config(), files.weights, files.name, mapping=self.classes, may_lack="")
        if model.config.decoder_start_token_id is None:
            raise ModelError(f"{files.folder / 'config.json'} has no decoder_start_token_id, with which the answer would begin")
        return model, unused

    def read_settings(self, files: Files, choices: Choices, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PairSettings:
        """Those of the table, by name or by type."""
        known = published_settings(files.name, model.config.model_type, choices.settings)
        return PairSettings(pair_length=pair_length(None, model, tokenizer), **known)

    def pairs(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: PairSettings) -> PairTokenizer:
        """By the template, with the tokeniser's end of text after it."""
        keep_answers_alone(model)
        answer_tokens(tokenizer, settings.answers)
        return PromptedPairs(tokenizer, settings, longest(model, tokenizer), special_tokens=True)

    def log_odds(
        self, model: PreTrainedModel, tokenizer: PairTokenizer, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None
    ) -> Tensor:
        """Of the first token that the decoder writes."""
        tokens = answer_tokens(tokenizer.tokenizer, tokenizer.settings.answers)
        start_B1 = torch.full_like(ids_BL[:, :1], model.config.decoder_start_token_id)
        return answer_log_odds(model, tokens, None, input_ids=ids_BL, attention_mask=mask_BL, decoder_input_ids=start_B1)

    def facts(self, model: PreTrainedModel, settings: PairSettings) -> dict[str, str]:
        """The answers."""
        return facts(settings.answers)

    def write(self, parts: Parts, folder: Path) -> None:
        """As ``AutoModelForSeq2SeqLM`` opens it; sentence-transformers has no such cross-encoder."""
        parts.write_model(folder)
        parts.tokenizer.save_pretrained(folder)


LAYOUT = Seq2Seq()
