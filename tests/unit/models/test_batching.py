from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.models.compute.batching import WINDOW, chunks, length_sorted_batches, pad


@given(st.lists(st.integers(0, 700), max_size=200), st.integers(1, 3000))
def test_every_position_comes_once_and_no_batch_breaks_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(length_sorted_batches(lengths, budget))
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget
    longest = [max(lengths[i] for i in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize("budget", [8_192, 32_768])
def test_padding_costs_little(budget: int) -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(4.2, 0.7, WINDOW).astype(int), 3, 512)
    padded = sum(len(batch) * lengths[batch].max() for batch in length_sorted_batches(lengths, budget))
    assert padded / lengths.sum() <= 1.1


@given(st.integers(0, 50), st.integers(1, 12))
def test_chunks_hold_every_item_in_order(count: int, size: int) -> None:
    parts = list(chunks(iter(range(count)), size))
    assert list(chain(*parts)) == list(range(count))
    assert all(len(part) == size for part in parts[:-1])
    assert all(parts)


def test_padding_is_on_the_right_and_masked() -> None:
    ids, mask = pad([[5, 6, 7], [8], []], pad_id=1)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1], [1, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert str(ids.dtype) == str(mask.dtype) == "torch.int64"
