"""Pairs of texts as token ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models.compute.batching import pad
from ance_ir.models.text.tokenizing import FastTokenizer


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of a pair; those from ``second`` on are of token type 1, where the model has types."""

    ids: list[int]
    second: int


@dataclasses.dataclass(frozen=True, slots=True)
class PairTemplate:
    """The special tokens before, between and after the two texts of a pair, and whether token type 1 begins with the second text."""

    before: list[int]
    between: list[int]
    after: list[int]
    types_from_second: bool

    @classmethod
    def of(cls, tokenizer: FastTokenizer[Any], *, token_types: bool) -> PairTemplate:
        """A tokeniser's.

        Args:
            tokenizer: joins two texts in its own way.
            token_types: whether the model tells the two texts apart by token types.

        Raises:
            ModelError: the tokeniser's types do not begin with the second text.
        """
        first, second = tokenizer.bare(["a"])[0], tokenizer.bare(["b"])[0]
        encoded = tokenizer.tokenizer("a", "b", return_token_type_ids=True)
        ids, types = encoded["input_ids"], encoded["token_type_ids"]
        start = _find(first, ids, 0)
        then = _find(second, ids, start + len(first))
        if token_types and types not in ([0] * len(ids), [0] * then + [1] * (len(ids) - then)):
            raise ModelError(
                f"{tokenizer.tokenizer.name_or_path}: the token types {types} of a pair do not begin with the second text, as they should"
            )
        between, after = ids[start + len(first) : then], ids[then + len(second) :]
        return cls(ids[:start], between, after, token_types and any(types))


def pad_pairs(
    pairs: Sequence[Pair], pad_id: int, device: torch.device | str = "cpu", *, token_types: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Token ids, mask and, where the model has them, token types; int64 ``[B, L]`` each."""
    ids_BL, mask_BL = pad([pair.ids for pair in pairs], pad_id, device)
    if not token_types:
        return ids_BL, mask_BL, None
    second_B1 = torch.tensor([[pair.second] for pair in pairs], device=device)
    types_BL = (torch.arange(ids_BL.shape[1], device=device) >= second_B1).long() * mask_BL
    return ids_BL, mask_BL, types_BL


def _find(part: list[int], whole: list[int], start: int) -> int:
    return next(i for i in range(start, len(whole)) if whole[i : i + len(part)] == part)


def distinct_pairs(queries: Sequence[Hashable], texts: Sequence[Hashable]) -> tuple[list[int], np.ndarray]:
    """Positions at which pairs occur first, and for each pair, int64 ``[N]``, which of those it is."""
    numbers: dict[tuple[Hashable, Hashable], int] = {}
    firsts: list[int] = []
    codes = np.empty(len(queries), dtype=np.int64)
    for position, pair in enumerate(zip(queries, texts, strict=True)):
        if pair not in numbers:
            numbers[pair] = len(firsts)
            firsts.append(position)
        codes[position] = numbers[pair]
    return firsts, codes
