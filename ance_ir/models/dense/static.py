"""Static embeddings: a token's vector is its row of a table, whatever stands around it (sentence-transformers' ``StaticEmbedding``)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput

from ance_ir.errors import ModelError
from ance_ir.models.loading.foreign import contents
from ance_ir.models.loading.weight_files import read_weights
from ance_ir.models.text.settings import TextSettings

_WEIGHT = "embedding.weight"
_MODEL2VEC = {"embeddings", "mapping", "weights"}
"""Names of Model2Vec: rows, the row of each token, and a weight for each token; the last two may be missing."""


class StaticConfig(PretrainedConfig):
    """The shape of a table."""

    model_type = "static-embedding"

    def __init__(self, vocab_size: int = 0, hidden_size: int = 0, **others: Any) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        super().__init__(**others)


class StaticBackbone(PreTrainedModel):
    """A backbone that looks tokens up in a table.

    Args:
        config: the table's shape.
    """

    config_class = StaticConfig
    supports_gradient_checkpointing = True
    gradient_checkpointing = False  # there is nothing between the table and the pooling to compute again

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """Vectors of tokens, ``last_hidden_state`` ``[B, L, H]``."""
        return BaseModelOutput(last_hidden_state=self.embedding(input_ids))


def read_static(folder: Path) -> tuple[StaticBackbone, PreTrainedTokenizerBase, int | None]:
    """Read a ``StaticEmbedding`` module.

    Args:
        folder: with weights and ``tokenizer.json``.

    Returns:
        The table as a backbone, its tokeniser, which adds no special tokens, and the most tokens that it reads of a text, if there is
        a limit.

    Raises:
        ModelError: a file is missing or damaged, or the two do not fit together.
    """
    table = _table(read_weights(folder), folder)
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(f"{path} is missing; a StaticEmbedding module has its tokeniser there")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library's errors have no class of their own
        raise ModelError(f"{path} is {contents(path) or f'no tokeniser: {error}'}") from error
    last = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if last >= len(table):
        raise ModelError(f"{folder}: the tokeniser's ids go up to {last}, the table has {len(table)} rows")
    length = (tokenizer.truncation or {}).get("max_length")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.post_processor = None
    with torch.device("meta"):
        backbone = StaticBackbone(StaticConfig(*table.shape, dtype=table.dtype))
    backbone.embedding = nn.Embedding.from_pretrained(table, freeze=False)
    return backbone, PreTrainedTokenizerFast(tokenizer_object=tokenizer), length


def _table(weights: Mapping[str, Tensor], folder: Path) -> Tensor:
    """A row for each token, ``[V, H]``."""
    if not ({_WEIGHT} == weights.keys() or ("embeddings" in weights and weights.keys() <= _MODEL2VEC)):
        raise ModelError(
            f"{folder}: a StaticEmbedding module with {_WEIGHT} is understood, or one of Model2Vec with {', '.join(sorted(_MODEL2VEC))}; "
            f"found {', '.join(sorted(weights))}"
        )
    table = weights.get(_WEIGHT, weights.get("embeddings"))
    assert table is not None
    if table.ndim != 2 or not table.is_floating_point():
        kind = str(table.dtype).removeprefix("torch.")
        raise ModelError(f"{folder}: a table of floating-point numbers is understood, not {kind} of the shape {list(table.shape)}")
    rows, scales = weights.get("mapping"), weights.get("weights")
    if rows is not None:
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(table):
            raise ModelError(f"{folder}: mapping names rows {int(rows.min())} to {int(rows.max())} of {len(table)}")
        table = table[rows.long()]
    if scales is not None:
        if scales.shape != table.shape[:1]:
            raise ModelError(f"{folder}: {list(scales.shape)} weights for {len(table)} tokens")
        table = table.to(torch.promote_types(table.dtype, torch.float32)) * scales[:, None]
    return table.contiguous()


def write_static(
    backbone: StaticBackbone, tokenizer: PreTrainedTokenizerBase, settings: TextSettings, folder: Path, *, weights: bool = True
) -> None:
    """Write a ``StaticEmbedding`` module; case and length are those of its tokeniser, since the module has no settings of its own.

    Without its weights, which are in an exported graph then, transformers opens the tokeniser too.
    """
    if weights:
        save_file({_WEIGHT: backbone.embedding.weight.detach().cpu().contiguous()}, folder / "model.safetensors")
    else:
        tokenizer.save_pretrained(folder)
    written = copy.deepcopy(tokenizer.backend_tokenizer)
    if settings.lower_case:
        written.normalizer = Normalizers([Lowercase(), *([written.normalizer] if written.normalizer is not None else [])])
    if settings.passage_length < tokenizer.model_max_length:
        written.enable_truncation(settings.passage_length)
    written.save(str(folder / "tokenizer.json"))
