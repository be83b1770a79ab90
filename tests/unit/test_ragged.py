from __future__ import annotations

import numpy as np

from ance_ir.ragged import rows_of


def test_the_rows_of_things_one_after_the_other() -> None:
    assert rows_of(np.array([7, 2, 5]), np.array([2, 0, 3])).tolist() == [7, 8, 5, 6, 7]
    assert rows_of(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
