"""Tiny language models and encoder-decoders that score a pair by an answer, in the files of those that publish such rerankers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, T5Config, T5ForConditionalGeneration

from tests.tiny import TEXT, WIDTH

CHAT = """<|im_start|>system
Judge whether the Document meets the Query. Answer "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first | default("Given a web search query") }}
<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>
<|im_start|>assistant
<think>

</think>

"""
SHAPE = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.12,
}


@cache
def chat_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE in the manner of Qwen's: punctuation and the line break after it are one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=460,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT, "yes\nno\n<Query>: <Document>: what?\n\nwhy.\n" * 30], trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=400)
    made.chat_template = CHAT
    return made


def language_model(seed: int = 0, dtype: torch.dtype = torch.float32, **config: Any) -> PreTrainedModel:
    """A causal Qwen3, unless ``config`` is of another model."""
    made = config.pop("config", Qwen3Config)(vocab_size=len(chat_tokenizer()), **{**SHAPE, "head_dim": 16, **config})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(made)
        return model.eval().to(dtype)


def write_language_model(folder: Path, chat: str | None = CHAT, **config: Any) -> Path:
    """A folder as Hugging Face's library writes it."""
    language_model(**config).save_pretrained(folder)
    tokenizer = chat_tokenizer()
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    tokenizer.chat_template = CHAT
    return folder


@cache
def t5_tokenizer() -> PreTrainedTokenizerFast:
    """A unigram tokeniser in the manner of T5's: words begin with "▁", and "</s>" ends a text."""
    pieces = [*dict.fromkeys([*"abcdefghijklmnopqrstuvwxyz", *(f"▁{word}" for word in TEXT.split())])]
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0), *((piece, -3.0 - len(piece) / 9) for piece in pieces)]
    scored += [(piece, -3.0) for piece in ("▁true", "▁false", "▁yes", "▁no", "▁Query", "▁Document", "▁Relevant", ":", "?", ".")]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64)


def write_t5(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, **config: Any) -> Path:
    """A T5 with both stacks, as monoT5 is published."""
    shape = {"d_model": WIDTH, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(T5Config(vocab_size=len(t5_tokenizer()), **{**shape, **config})).eval()
        if not model.config.tie_word_embeddings:
            model.lm_head.weight.data /= 40
    model.to(dtype).save_pretrained(folder)
    t5_tokenizer().save_pretrained(folder)
    return folder
