"""Tiny models made on the spot: nothing to download, random weights that are the same in every run."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_array
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DPRConfig,
    DPRReader,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
)

from ance_ir.models import CrossEncoder, DenseEncoder, Head, PairSettings, Reader, ReaderSettings, SparseEncoder, TextSettings, Tower
from ance_ir.models.dense.static import StaticBackbone, StaticConfig
from ance_ir.models.reader.text import Layout

Kind = Literal["bert", "roberta"]
Architecture = Literal["bert", "roberta", "distilbert", "mpnet", "modernbert", "electra", "xlm-roberta"]

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
    pooling: str = "mean",
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


def static(*, shared: bool = True, seed: int = 0) -> DenseEncoder:
    """An encoder of static embeddings; its tokeniser adds no special tokens, and has none that pads."""
    alone = Tokenizer.from_str(bert_tokenizer().backend_tokenizer.to_str())
    alone.post_processor = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = [Tower(StaticBackbone(StaticConfig(alone.get_vocab_size(), WIDTH)), pooling="mean") for _ in range(1 if shared else 2)]
    settings = TextSettings(query_length=16, passage_length=32)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=alone)
    return DenseEncoder(made[0], None if shared else made[1], tokenizer, settings, name="tiny").eval()


_SHAPE = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "initializer_range": 0.3}


@cache
def pair_tokenizer(architecture: Architecture) -> PreTrainedTokenizerFast:
    """The tokeniser of an architecture; BERT and ELECTRA are given token types."""
    if architecture in ("roberta", "mpnet", "xlm-roberta"):
        return roberta_tokenizer()
    types = ["token_type_ids"] if architecture in ("bert", "electra") else []
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(
        tokenizer_object=bert_tokenizer().backend_tokenizer,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", *types, "attention_mask"],
        **special,
    )


def classifier(architecture: Architecture = "bert", labels: int = 1, seed: int = 0, **config: Any) -> PreTrainedModel:
    """A sequence-classification model of two layers; weights large enough for pairs to lie apart."""
    words = {"vocab_size": len(pair_tokenizer(architecture)), "num_labels": labels, **config}
    after_padding = {"max_position_embeddings": POSITIONS + 2, "pad_token_id": 1}
    configs = {
        "bert": lambda: BertConfig(max_position_embeddings=POSITIONS, **_SHAPE, **words),
        "electra": lambda: ElectraConfig(max_position_embeddings=POSITIONS, embedding_size=WIDTH, **_SHAPE, **words),
        "modernbert": lambda: ModernBertConfig(
            max_position_embeddings=POSITIONS,
            pad_token_id=0,
            cls_token_id=2,
            sep_token_id=3,
            initializer_cutoff_factor=9.0,
            **_SHAPE,
            **words,
        ),
        "distilbert": lambda: DistilBertConfig(
            max_position_embeddings=POSITIONS, dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=48, initializer_range=0.3, **words
        ),
        "roberta": lambda: RobertaConfig(**after_padding, **_SHAPE, **words),
        "mpnet": lambda: MPNetConfig(**after_padding, **_SHAPE, **words),
        "xlm-roberta": lambda: XLMRobertaConfig(**after_padding, **_SHAPE, **words),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(configs[architecture]())
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.data.normal_(std=0.3)
        return model.eval()


def cross_encoder(architecture: Architecture = "bert", labels: int = 1, seed: int = 0, **settings: Any) -> CrossEncoder:
    """A cross-encoder that reads pairs of at most 32 tokens."""
    told = PairSettings(**{"pair_length": 32, **settings})
    return CrossEncoder(classifier(architecture, labels, seed), pair_tokenizer(architecture), told, name="tiny").eval()


def dpr_reader_model(seed: int = 0) -> DPRReader:
    """A DPR reader of two layers; weights large enough for tokens to lie apart."""
    shape = {**_SHAPE, "max_position_embeddings": POSITIONS, "vocab_size": len(bert_tokenizer()), "projection_dim": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DPRReader(DPRConfig(**shape)).eval()


def question_answerer(kind: Kind = "bert", seed: int = 0) -> PreTrainedModel:
    """A model of two layers with a head for question answering."""
    shape = {**backbone(kind).config.to_dict(), "initializer_range": 0.3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForQuestionAnswering.from_config(type(backbone(kind).config)(**shape))
        return model.eval()


def reader(layout: Layout = "dpr", seed: int = 0, **settings: Any) -> Reader:
    """A reader of windows of at most 48 tokens."""
    told = ReaderSettings(**{"pair_length": 48, "overlap": None if layout == "dpr" else 8, **settings})
    model = dpr_reader_model(seed) if layout == "dpr" else question_answerer(seed=seed)
    return Reader(model, pair_tokenizer("bert"), told, layout=layout, name="tiny").eval()


class ByWords(SparseEncoder):
    """Weights that a test can tell beforehand: how often a word is in a text."""

    def __init__(self, name: str = "by words") -> None:
        self.name = name
        self.dimension = len(WORDS)
        self.encoded: list[str] = []

    def fingerprint(self) -> str:
        return self.name

    def encode_documents(self, texts: Sequence[str]) -> csr_array:
        self.encoded += texts
        return csr_array([[text.split().count(word) for word in WORDS] for text in texts], dtype=np.float32)

    encode_queries = encode_documents
