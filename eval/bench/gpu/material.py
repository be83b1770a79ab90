"""Encoders of the usual sizes with random weights, and texts of a given length: slices of the documents that come with the package."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ance_ir.datasets import load_dataset
from ance_ir.models import DenseEncoder, TextSettings, Tower

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHAPES: dict[str, dict[str, Any]] = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "MiniLM": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
}
"""BERT-base, and all-MiniLM-L6-v2."""

_TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
_MORE = 1.4
"""Times as many words as it takes on average, so that most texts are long enough."""
_VOCABULARY = {True: 500, False: 30_522}


@functools.cache
def _words(documents: int) -> list[str]:
    texts = load_dataset("python-stdlib").usable_documents()
    return " ".join(document["text"] for document, _ in zip(texts, range(documents), strict=False)).split()


@functools.cache
def tokenizer(small: bool) -> PreTrainedTokenizerFast:
    """WordPiece, as large as BERT's, learnt from these documents."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = _words(100 if small else 4000)
    learning = trainers.WordPieceTrainer(vocab_size=_VOCABULARY[small], special_tokens=list(SPECIAL), show_progress=False)
    made.train_from_iterator([" ".join(words[start : start + 1000]) for start in range(0, len(words), 1000)], learning)
    ends = [(name, SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def encoder(shape: str, device: torch.device, length: int, *, small: bool, dtype: torch.dtype = torch.bfloat16) -> DenseEncoder:
    """An encoder of one of ``SHAPES``; a tiny one if it is to be small.

    Args:
        shape: its name.
        device: where it computes.
        length: tokens that passages are cut to; queries to 32.
        small: whether it is for a trial.
        dtype: of the weights.
    """
    config = BertConfig(vocab_size=_VOCABULARY[small], **(_TINY if small else SHAPES[shape]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = Tower(BertModel(config, add_pooling_layer=False), pooling="mean")
    settings = TextSettings(query_length=32, passage_length=length)
    return DenseEncoder(tower, None, tokenizer(small), settings, name=shape).to(device, dtype)


def texts(tokens: Sequence[int], *, small: bool, seed: int = 0) -> list[str]:
    """Texts of about so many tokens each, special ones included, or more."""
    words = _words(100 if small else 4000)
    sample = words[:2000]
    a_word = len(tokenizer(small)(" ".join(sample), add_special_tokens=False)["input_ids"]) / len(sample)
    counts = np.maximum(1, np.ceil(_MORE * np.asarray(tokens) / a_word)).astype(int)
    starts = np.random.default_rng(seed).integers(0, max(1, len(words) - counts.max()), len(counts))
    return [" ".join(words[start : start + count]) for start, count in zip(starts, counts, strict=True)]
