"""Parts are claimed before their texts are cut, and given up whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import numpy as np
import pytest
import torch

from ance_ir.indexes.store.parts import claimed_parts
from ance_ir.models.dense.encoding import LOOK_AHEAD, tokenized
from ance_ir.models.text.tokens import Tokens

PIECES = 6
TAKEN = 2
"""The part that another process has."""


class World:
    """What is claimed, and which documents were cut."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.claimed: list[int] = []

    def claim(self, part: int) -> contextlib.ExitStack | None:
        if part == TAKEN:
            return None
        self.held.append(part)
        self.claimed.append(part)
        stack = contextlib.ExitStack()
        stack.callback(self.held.remove, part)
        return stack

    def pieces(self, part: int) -> Iterator[np.ndarray]:
        return (np.array([10 * part + place]) for place in range(PIECES))

    def parts(self) -> Generator[tuple[int, Generator[Tokens]]]:
        def cut(numbers: np.ndarray) -> Tokens:
            assert numbers[0] // 10 in self.held, "what another process may have is not cut"
            return Tokens.of([[[number]] for number in numbers.tolist()])

        return claimed_parts(range(5), self.claim, self.pieces, lambda pieces: tokenized(pieces, cut, torch.device("cpu")))


def test_each_part_comes_with_its_own_tokens() -> None:
    world = World()
    for part, tokens in world.parts():
        assert part in world.held
        assert [one.ids_T.tolist() for one in tokens] == [[10 * part + place] for place in range(PIECES)]
    assert (world.claimed, world.held) == ([0, 1, 3, 4], [])


def test_the_next_part_is_cut_while_one_is_in_hand() -> None:
    assert PIECES < LOOK_AHEAD["cpu"] < 2 * PIECES
    world = World()
    with contextlib.closing(world.parts()) as parts:
        part, tokens = next(parts)
        next(tokens)
        assert (part, world.held) == (0, [0, 1])
        list(tokens)
        next(parts)
        assert world.held == [1, 3]
    assert not world.held


def test_claims_end_with_an_error() -> None:
    world = World()
    with pytest.raises(ZeroDivisionError), contextlib.closing(world.parts()) as parts:
        for part, tokens in parts:
            if part == 1:
                next(tokens)
                raise ZeroDivisionError
            list(tokens)
    assert world.claimed and not world.held
