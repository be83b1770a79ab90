"""The memory of a training step of a model that is not there: predicted as before a run's first step."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ance_ir.datasets import DocumentStore
from ance_ir.indexes import MaxP
from ance_ir.models import DenseEncoder, TextSettings, Tower
from ance_ir.models.dense.size import Size
from ance_ir.training import DenseObjective, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run.memory import predict_memory
from ance_ir.workflows.planning.job import Job

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "word"]
_LAYERS = (2, 4)
"""Of models that are rehearsed."""

_REHEARSED = 12_000
"""Tokens of a step that is rehearsed, at most."""

_BYTES = 16
"""Of a weight: itself, its gradient, and the two numbers that AdamW keeps."""

_CAST = 2
"""Bytes of a weight of a matrix that autocast keeps for a step, in bfloat16."""

_HEAD = 64
"""Width of an attention head."""


def training_memory(job: Job, *, bfloat16: bool) -> float:
    """Bytes at the moment of a step when it takes most, with AdamW and weights in float32.

    In float32 it is what a CPU's kernels take. In bfloat16 it is meant for a GPU, where attention keeps no matrix of weights: dropout, with
    which a CPU's would, is left out, and so are its masks, about a tenth of the activations.

    Of a model with many layers two with few are rehearsed: each layer more takes as much as the one before. That is 2 % to 9 % less than is
    predicted for 12 layers themselves, which takes long. Of a large batch a part is rehearsed.

    Args:
        job: the model, the texts and the batches.
        bfloat16: whether it is computed in bfloat16.
    """
    lengths = tuple(job.corpus.lengths[: len(job.corpus.lengths) // job.corpus.sampled or 1])
    tokens = (1 + job.negatives) * sum(lengths) + job.query_tokens
    batch = max(1, min(job.batch_size, _REHEARSED // tokens))

    def predicted(layers: int) -> int:
        return _predicted(job.size.cut(layers), lengths, job.query_tokens, batch, job.negatives, bfloat16)

    few, more = _LAYERS
    found = float(predicted(min(job.size.layers, more)))
    if job.size.layers > more:
        found += (job.size.layers - more) * (found - predicted(few)) / (more - few)
    kept = _BYTES * job.size.weights + (_CAST * job.size.matrices if bfloat16 else 0)
    return kept + max(0.0, found - kept) * job.batch_size / batch


@lru_cache
def _predicted(size: Size, lengths: tuple[int, ...], query_tokens: int, batch_size: int, negatives: int, bfloat16: bool) -> int:
    longest = max(*lengths, query_tokens)
    model = _model(size, longest, query_tokens)
    text = " ".join(["word"] * sum(length - 2 for length in lengths))
    documents = 2 + batch_size * (1 + negatives)
    settings = TrainingSettings(steps=1, batch_size=batch_size, negatives=negatives, bfloat16=bfloat16, dropout=not bfloat16)
    with tempfile.TemporaryDirectory() as folder:
        store = DocumentStore.build(({"docno": f"d{number}", "text": text} for number in range(documents)), Path(folder) / "documents")
        own = [np.array([query], dtype=np.int64) for query in range(batch_size)]
        asked = [f"q{query}" for query in range(batch_size)]
        question = " ".join(["word"] * (query_tokens - 2))
        queries = TrainingQueries(qids=asked, texts=[question] * batch_size, positives=own, excluded=own, documents=documents)
        objective = DenseObjective(model, queries, store, MaxP(longest, len(lengths)))
        return predict_memory(objective, Batches(queries, RandomNegatives(queries), settings).of_step(0), settings).total


def _model(size: Size, longest: int, query_tokens: int) -> DenseEncoder:
    """A BERT of a size whose weights have no values: their memory is not touched."""
    inner = (size.matrices // size.layers - 4 * size.width**2) // (2 * size.width) if size.layers else size.width
    vocabulary = max(len(_WORDS), (size.weights - size.matrices) // size.width - longest)
    config = BertConfig(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=max(1, size.width // _HEAD),
        intermediate_size=inner,
        vocab_size=vocabulary,
        max_position_embeddings=longest,
    )
    with torch.device("meta"):
        backbone = BertModel(config, add_pooling_layer=False)
    tower = Tower(backbone.to_empty(device="cpu"), pooling="cls")
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(name, _WORDS.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=longest)
    settings = TextSettings(query_length=query_tokens, passage_length=longest, max_characters=None)
    return DenseEncoder(tower, None, fast, settings, name="planned")
