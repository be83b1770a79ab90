"""What every layout gives."""

from __future__ import annotations

import dataclasses
from typing import Literal

from transformers import PreTrainedTokenizerBase

from ance_ir.models.dense.tower import Tower
from ance_ir.models.text.settings import TextSettings

Similarity = Literal["cosine", "dot"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A checkpoint, read.

    Attributes:
        layout: whose layout it has, in words.
        query: the query tower.
        passage: the passage tower, ``None`` where it is the query tower.
        tokenizer: of both.
        text: the text settings.
        text_from: where they come from, in words.
        unused: names of weights that were in the files and have no place in the model.
        assumed: choices that the files do not name, in words.
    """

    layout: str
    query: Tower
    passage: Tower | None = None
    tokenizer: PreTrainedTokenizerBase
    text: TextSettings
    text_from: str
    unused: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def longest(tokenizer: PreTrainedTokenizerBase, *towers: Tower) -> int:
    """The most tokens that a tokeniser and towers take."""
    return min(tokenizer.model_max_length, *(tower.longest for tower in towers))
