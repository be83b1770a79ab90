"""Codes of product quantisation."""

from __future__ import annotations

from ance_ir.errors import UsageError
from ance_ir.indexes.ann.parts._part import Corpus


def code_bytes(corpus: Corpus, number: int | None) -> int:
    """Bytes a vector: the number, or the largest divisor of the dimensions up to a quarter of them.

    Raises:
        UsageError: the number does not divide the dimensions.
    """
    fitting = next(size for size in range(max(1, corpus.kept // 4), 0, -1) if corpus.kept % size == 0)
    if corpus.kept % (number or fitting):
        raise UsageError(f"{number} bytes do not divide {corpus.kept} dimensions; {fitting} do")
    return number or fitting
