"""What backbones of several architectures are asked alike: their layers, their positions, their token types."""

from __future__ import annotations

import re

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import UsageError

_PLACES = ("encoder.layer", "transformer.layer", "layers", "encoder.block")
"""Where backbones keep their layers: BERT, RoBERTa, MPNet and ELECTRA; DistilBERT; ModernBERT and decoders; T5."""

_AFTER = re.compile(r"(encoder\.)?(norm|final_norm|final_layer_norm|pooler)\.|(decoder|lm_head)\.")
"""What follows the layers, of encoder-decoders also the whole decoder; all else outside of them is embeddings."""


def keep_layers(backbone: PreTrainedModel, count: int) -> int:
    """Cut a backbone to its first layers, in place, and let its configuration say so: small and fast models for studies.

    With no layer left a text is the bag of its tokens' embeddings.

    Args:
        backbone: as transformers makes it.
        count: how many layers stay; 0: none, only the embeddings.

    Returns:
        How many layers it had.

    Raises:
        UsageError: it has fewer layers, or none are to stay of one that needs one (ModernBERT), or it keeps them at an unknown place.
    """
    _, layers = _layers(backbone, "keep them all")
    had, config = len(layers), backbone.config
    kinds: list[str] | None = getattr(config, "layer_types", None)
    fewest = 0 if kinds is None else 1  # a configuration that names each layer's kind cannot be read again when there is none
    if not fewest <= count <= had:
        raise UsageError(f"the backbone has {had} layers, of which {fewest} to {had} can be kept, not {count}")
    del layers[count:]
    config.num_hidden_layers = count  # DistilBERT's n_layers goes by this name too
    if kinds is not None:
        config.layer_types = kinds[:count]
    return had


def depths(backbone: PreTrainedModel) -> tuple[dict[nn.Parameter, int], int]:
    """How deep each weight of a backbone lies.

    Args:
        backbone: as transformers makes it.

    Returns:
        For each weight 0 if it belongs to the embeddings, i if to layer i, one more than the number of layers if to what follows them;
        and that number.

    Raises:
        UsageError: the backbone keeps its layers at an unknown place.
    """
    place, layers = _layers(backbone, "layers cannot be frozen, or have rates of their own, there")
    found = {}
    for name, weight in backbone.named_parameters():
        if name.startswith(f"{place}."):
            found[weight] = int(name.removeprefix(f"{place}.").partition(".")[0]) + 1
        else:
            found[weight] = len(layers) + 1 if _AFTER.match(name) else 0
    return found, len(layers)


def has_token_types(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a model tells the two texts of a pair apart by token types, and its tokeniser gives them."""
    return int(getattr(config, "type_vocab_size", None) or 0) > 1 and "token_type_ids" in tokenizer.model_input_names


def positions(backbone: nn.Module) -> int:
    """The most tokens that a backbone has positions for."""
    embeddings = getattr(getattr(backbone, "embeddings", None), "position_embeddings", None)
    if not isinstance(embeddings, nn.Embedding):
        return int(getattr(backbone.config, "max_position_embeddings", None) or 10**9)
    return embeddings.num_embeddings - first_position(backbone)


def first_position(backbone: nn.Module) -> int:
    """The number of the first token's position: RoBERTa's begin after its padding index."""
    padding = getattr(getattr(getattr(backbone, "embeddings", None), "position_embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _find(backbone: nn.Module, place: str) -> nn.Module | None:
    found: nn.Module | None = backbone
    for name in place.split("."):
        found = getattr(found, name, None)
    return found


def _layers(backbone: PreTrainedModel, remedy: str) -> tuple[str, nn.ModuleList]:
    """The layers of a backbone, and where it keeps them.

    Raises:
        UsageError: at an unknown place; says what to do.
    """
    for place in _PLACES:
        if isinstance(layers := _find(backbone, place), nn.ModuleList):
            return place, layers
    kind = backbone.config.model_type
    raise UsageError(f"a backbone of the type {kind} has its layers at none of the known places ({', '.join(_PLACES)}); {remedy}")
