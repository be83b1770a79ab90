from __future__ import annotations

import numpy as np

from ance_ir.ragged import owners_of, places_of, rows_of, starts_of

COUNTS, NONE = np.array([2, 0, 3]), np.zeros(0, dtype=np.int64)


def test_the_rows_of_things_one_after_the_other() -> None:
    assert rows_of(np.array([7, 2, 5]), COUNTS).tolist() == [7, 8, 5, 6, 7]
    assert starts_of(COUNTS).tolist() == [0, 2, 2]
    assert owners_of(COUNTS).tolist() == [0, 0, 2, 2, 2]
    assert places_of(COUNTS).tolist() == [0, 1, 0, 1, 2]


def test_nothing_has_no_rows() -> None:
    assert rows_of(NONE, NONE).tolist() == starts_of(NONE).tolist() == owners_of(NONE).tolist() == places_of(NONE).tolist() == []
