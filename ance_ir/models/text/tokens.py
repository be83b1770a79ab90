"""Token ids in flat arrays: few objects, however many passages, so that they travel fast between processes and into batches."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """Token ids of N texts that follow one another: P passages, T tokens in all.

    Attributes:
        ids_T: passage after passage, int32.
        lengths_P: tokens of each passage, int64.
        counts_N: passages of each text, int64.
    """

    ids_T: np.ndarray
    lengths_P: np.ndarray
    counts_N: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Iterable[Sequence[int]]]) -> Tokens:
        """Those of the passages of each text."""
        ids, lengths, counts = array("i"), array("q"), array("q")
        for passages in texts:
            before = len(lengths)
            for passage in passages:
                ids.extend(passage)
                lengths.append(len(passage))
            counts.append(len(lengths) - before)
        return cls(ids_T=_array(ids, np.int32), lengths_P=_array(lengths, np.int64), counts_N=_array(counts, np.int64))

    @classmethod
    def join(cls, parts: Sequence[Tokens]) -> Tokens:
        """Those of several, of one at least."""
        if len(parts) == 1:
            return parts[0]
        joined = [np.concatenate(arrays) for arrays in zip(*((one.ids_T, one.lengths_P, one.counts_N) for one in parts), strict=True)]
        return cls(ids_T=joined[0], lengths_P=joined[1], counts_N=joined[2])

    def __len__(self) -> int:
        """How many texts."""
        return len(self.counts_N)

    @property
    def ends_N(self) -> np.ndarray:
        """How many tokens there are up to the end of each text, int64."""
        tokens = np.concatenate([[0], np.cumsum(self.lengths_P)])
        ends: np.ndarray = tokens[np.cumsum(self.counts_N)]
        return ends

    def split(self, texts: int) -> tuple[Tokens, Tokens]:
        """The first texts, and the others."""
        passages = int(self.counts_N[:texts].sum())
        tokens = int(self.lengths_P[:passages].sum())
        first = Tokens(ids_T=self.ids_T[:tokens], lengths_P=self.lengths_P[:passages], counts_N=self.counts_N[:texts])
        return first, Tokens(ids_T=self.ids_T[tokens:], lengths_P=self.lengths_P[passages:], counts_N=self.counts_N[texts:])

    def lists(self) -> list[list[list[int]]]:
        """The same as lists: of each text its passages' token ids."""
        ids, lengths = iter(self.ids_T.tolist()), iter(self.lengths_P.tolist())
        return [[[next(ids) for _ in range(next(lengths))] for _ in range(count)] for count in self.counts_N.tolist()]


def token_windows(pieces: Iterable[Tokens], tokens: int) -> Iterator[Tokens]:
    """Texts that follow one another, as few as have so many tokens in all, the last ones fewer. Pieces make no difference to windows."""
    held: list[Tokens] = []
    size = 0
    for piece in pieces:
        rest = piece
        while len(rest) and size + len(rest.ids_T) >= tokens:
            first, rest = rest.split(int(np.searchsorted(rest.ends_N, tokens - size)) + 1)
            yield Tokens.join([*held, first])
            held, size = [], 0
        if len(rest):
            held.append(rest)
            size += len(rest.ids_T)
    if held:
        yield Tokens.join(held)


def _array(values: array[int], dtype: type[np.generic]) -> np.ndarray:
    return np.frombuffer(values, dtype=dtype) if values else np.zeros(0, dtype=dtype)
