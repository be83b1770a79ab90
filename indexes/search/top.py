"""The best hits so far, while a corpus goes by in blocks.

Shapes: Q queries, N rows of a block, C places for candidates, W of them in use, n candidates, F hits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Settle = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From the number of a query and rows, int64 ``[n]``, to the settled scores, float32, and the rows of its best k of them, both ``[k]``."""


def held_rows(k: int) -> int:
    """How many rows are kept for a query when its places have run out, at most."""
    return 3 * k + 64


def least_room(k: int) -> int:
    """Places beyond these that let most blocks pass without running out."""
    return max(k, 256)


class RunningTop:
    """Keeps, for each query, every row that may be among its best k.

    A row is kept if its score is above the query's cut: the kth best score so far, less the noise. After a few blocks hardly any is, so
    that most scores cost one comparison. Where more rows than there is place for crowd at the cut, as equal vectors do, they are settled
    at once, and the best k are kept.

    Args:
        k: hits that are asked for.
        room: places for each query beyond ``held_rows(k)``, at least 1; a block that has more rows above a cut is taken in by halves.
        noise_Q: float32 ``[Q]``; a row whose score is lower than another's by more than this comes after it.
        settle: chooses the best k of many rows.
    """

    def __init__(self, k: int, room: int, noise_Q: np.ndarray, settle: Settle) -> None:
        self._k = k
        self._noise_Q = noise_Q
        self._settle = settle
        self._scores_QC = np.empty((len(noise_Q), held_rows(k) + room), dtype=np.float32)
        self._rows_QC = np.empty(self._scores_QC.shape, dtype=np.int64)
        self._filled_Q = np.zeros(len(noise_Q), dtype=np.int64)
        self._width = 0
        self._cuts_Q = np.full(len(noise_Q), -np.inf, dtype=np.float32)
        self._since_raised = 0

    def add(self, scores_QN: torch.Tensor, rows: int | np.ndarray) -> None:
        """Take in a block: float32 scores, −∞ for what may not be found, and its rows, int64 ``[N]``, or the first of consecutive ones."""
        columns = scores_QN.shape[1]
        if self._cuts_Q[0] == -np.inf:
            some = min(columns, self._k + int(4 * (self._k * columns) ** 0.5))  # more take longer, fewer leave more above the cuts
            self._raise_cuts(scores_QN[:, :some])
        queries_n, columns_n, values_n = _above(scores_QN, self._cuts_Q)
        counts_Q = np.bincount(queries_n, minlength=len(self._filled_Q))
        if self._is_too_much(counts_Q):
            self._compact()
        if self._is_too_much(counts_Q):
            half = columns // 2
            self.add(scores_QN[:, :half], rows if isinstance(rows, int) else rows[:half])
            self.add(scores_QN[:, half:], rows + half if isinstance(rows, int) else rows[half:])
            return
        self._append(queries_n, counts_Q, values_n, columns_n + rows if isinstance(rows, int) else rows[columns_n])
        self._since_raised += len(values_n)
        if 2 * self._since_raised > self._k * len(self._filled_Q):
            self._raise_cuts()

    def hits(self) -> tuple[np.ndarray, np.ndarray]:
        """All that may be among the best k: float32 scores and int64 rows, ``[Q, F]``, sorted, padded with −∞ and −1."""
        if self._since_raised:
            self._raise_cuts()
        scores_QW = self._scores_QC[:, : self._width]
        most = int(np.count_nonzero(scores_QW > self._cuts_Q[:, None], axis=1).max())
        order_QF = np.argsort(-scores_QW, axis=1)[:, :most]
        scores_QF, rows_QF = np.take_along_axis(scores_QW, order_QF, 1), np.take_along_axis(self._rows_QC, order_QF, 1)
        rows_QF[scores_QF == -np.inf] = -1
        return scores_QF, rows_QF

    def _is_too_much(self, counts_Q: np.ndarray) -> bool:
        return int((self._filled_Q + counts_Q).max()) > self._scores_QC.shape[1]

    def _append(self, queries_n: np.ndarray, counts_Q: np.ndarray, values_n: np.ndarray, rows_n: np.ndarray) -> None:
        places_n = np.arange(len(queries_n)) + np.repeat(self._filled_Q - np.cumsum(counts_Q) + counts_Q, counts_Q)
        self._filled_Q = self._filled_Q + counts_Q
        width = max(self._width, int(self._filled_Q.max()))
        self._scores_QC[:, self._width : width] = -np.inf
        self._width = width
        self._scores_QC[queries_n, places_n] = values_n
        self._rows_QC[queries_n, places_n] = rows_n

    def _raise_cuts(self, scores_QN: torch.Tensor | None = None) -> None:
        """By the kth best of some scores, or of those that are kept."""
        if scores_QN is None:
            scores_QN = torch.from_numpy(self._scores_QC[:, : self._width])
            self._since_raised = 0
        if scores_QN.shape[1] >= self._k:
            cuts_Q = np.nextafter(_kth(scores_QN, self._k) - self._noise_Q, np.float32(-np.inf))
            self._cuts_Q = np.maximum(self._cuts_Q, cuts_Q)

    def _compact(self) -> None:
        """Drop what is no longer above the cuts, and of crowds all but the best k."""
        if self._since_raised:
            self._raise_cuts()
        queries_n, places_n, values_n = _above(torch.from_numpy(self._scores_QC[:, : self._width]), self._cuts_Q)
        rows_n = self._rows_QC[queries_n, places_n]
        counts_Q = np.bincount(queries_n, minlength=len(self._filled_Q))
        self._filled_Q, self._width = np.zeros_like(self._filled_Q), 0
        self._append(queries_n, counts_Q, values_n, rows_n)
        for query in np.flatnonzero(self._filled_Q > held_rows(self._k)):
            scores, rows = self._settle(int(query), self._rows_QC[query, : self._filled_Q[query]])
            self._scores_QC[query, : self._k], self._rows_QC[query, : self._k] = scores, rows
            self._scores_QC[query, self._k :] = -np.inf
            self._filled_Q[query] = self._k
        self._width = int(self._filled_Q.max(initial=0))


def _kth(scores_QN: torch.Tensor, k: int) -> np.ndarray:
    """The kth best score of each query; numpy's selection is the fastest."""
    place = scores_QN.shape[1] - k
    kth: np.ndarray = np.partition(scores_QN.numpy(), place, axis=1)[:, place]
    return kth


def _above(scores_QN: torch.Tensor, cuts_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Query and column, int64, and score of each score above its query's cut, in the order of the queries."""
    scores = scores_QN.numpy()
    found_n = np.flatnonzero(scores > cuts_Q[:, None])
    queries_n, columns_n = np.divmod(found_n, scores.shape[1])
    return queries_n, columns_n, scores.reshape(-1)[found_n]
