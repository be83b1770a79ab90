"""Tiny models made on the spot: nothing to download, random weights that are the same in every run."""

from __future__ import annotations

import string
from functools import cache
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from ance_ir.models import DenseEncoder, Head, TextSettings, Tower

Kind = Literal["bert", "roberta"]

WIDTH = 32
POSITIONS = 64
TEXT = """
the a of and is are what who how why when dense sparse retrieval ranking query passage document vector index token model paper title
cat dog bird fish tree river city king queen sun moon star red green blue small large old new fast slow runs sleeps sings swims
"""
WORDS = TEXT.split()


@cache
def bert_tokenizer() -> PreTrainedTokenizerFast:
    """WordPiece, lower-casing; one token for each of ``WORDS``, a letter, digit or sign a token otherwise."""
    signs = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs), *string.punctuation, "日", "本", "ש"]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *WORDS]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@cache
def roberta_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE that keeps case; a word after a space has tokens of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS), "passage: the query: " * 3], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS,
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
    )


def tokenizer_of(kind: Kind) -> PreTrainedTokenizerFast:
    return bert_tokenizer() if kind == "bert" else roberta_tokenizer()


def backbone(kind: Kind = "bert", seed: int = 0, **config: Any) -> PreTrainedModel:
    """Two layers of width 32; weights large enough for texts to lie apart."""
    shape = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "initializer_range": 0.3,
        "vocab_size": len(tokenizer_of(kind)),
        **config,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "bert":
            return BertModel(BertConfig(max_position_embeddings=POSITIONS, **shape)).eval()
        # RoBERTa numbers its positions from padding_idx + 1 on
        return RobertaModel(RobertaConfig(max_position_embeddings=POSITIONS + 2, pad_token_id=1, **shape)).eval()


def tower(
    kind: Kind = "bert",
    *,
    pooling: Literal["cls", "mean"] = "mean",
    head: int | None = None,
    normalize: bool = False,
    seed: int = 0,
) -> Tower:
    """A tower; ``head`` is the dimension of its head."""
    made = None
    if head is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 100)
            made = Head(WIDTH, head)
            made.norm.weight.data.uniform_(0.5, 1.5)
            made.norm.bias.data.normal_()
            made.linear.bias.data.normal_()
    return Tower(backbone(kind, seed), pooling=pooling, head=made, normalize=normalize).eval()


def encoder(kind: Kind = "bert", *, shared: bool = True, seed: int = 0, text: dict[str, Any] | None = None, **options: Any) -> DenseEncoder:
    """An encoder with passages of at most 32 tokens and queries of at most 16; ``options`` are those of ``tower``."""
    settings = TextSettings(**{"query_length": 16, "passage_length": 32, **(text or {})})
    passage = None if shared else tower(kind, seed=seed + 1, **options)
    return DenseEncoder(tower(kind, seed=seed, **options), passage, tokenizer_of(kind), settings, name="tiny").eval()
