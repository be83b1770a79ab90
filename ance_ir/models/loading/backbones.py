"""What backbones of several architectures are asked alike: their layers, their positions, their token types."""

from __future__ import annotations

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import UsageError

_PLACES = ("encoder.layer", "transformer.layer", "layers", "encoder.block")
"""Where backbones keep their layers: BERT, RoBERTa, MPNet and ELECTRA; DistilBERT; ModernBERT and decoders; T5."""


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
    place = next((place for place in _PLACES if isinstance(_find(backbone, place), nn.ModuleList)), None)
    if place is None:
        kind = backbone.config.model_type
        raise UsageError(f"a backbone of the type {kind} has its layers at none of the known places ({', '.join(_PLACES)}); keep them all")
    layers = _find(backbone, place)
    assert isinstance(layers, nn.ModuleList)
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


def has_token_types(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a model tells the two texts of a pair apart by token types, and its tokeniser gives them."""
    return int(getattr(config, "type_vocab_size", None) or 0) > 1 and "token_type_ids" in tokenizer.model_input_names


def positions(backbone: nn.Module) -> int:
    """The most tokens that a backbone has positions for."""
    embeddings = getattr(getattr(backbone, "embeddings", None), "position_embeddings", None)
    if not isinstance(embeddings, nn.Embedding):
        return int(getattr(backbone.config, "max_position_embeddings", None) or 10**9)
    # RoBERTa's positions begin after its padding index
    return embeddings.num_embeddings - (0 if embeddings.padding_idx is None else embeddings.padding_idx + 1)


def _find(backbone: nn.Module, place: str) -> nn.Module | None:
    found: nn.Module | None = backbone
    for name in place.split("."):
        found = getattr(found, name, None)
    return found
