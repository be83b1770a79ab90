"""The order of ties: each document's place in descending order of docnos, the file ``tie_order.npy`` of indexes."""

from __future__ import annotations

import numpy as np

from ance_ir.datasets.store.docnos import PIECE, DocnoMap


def tie_order(docnos: DocnoMap) -> np.ndarray:
    """Each document's place in descending order of docnos (as UTF-8 bytes), int64 ``[documents]``.

    Docnos are compared eight bytes at a time, and only those that are equal so far are compared further, so memory does not grow with the
    longest docno.
    """
    order = np.arange(len(docnos))
    places = np.arange(len(docnos))  # in ``order``, of those still equal to a neighbour
    groups = np.zeros(len(docnos), dtype=np.int64)
    start = 0
    while len(places):
        keys, lengths = docnos.pieces(order[places], start)
        sort = np.lexsort((lengths, keys, groups))
        order[places] = order[places[sort]]
        keys, lengths, groups = keys[sort], lengths[sort], groups[sort]
        begins = np.append(True, (groups[1:] != groups[:-1]) | (keys[1:] != keys[:-1]) | (lengths[1:] != lengths[:-1]))
        groups = np.cumsum(begins)
        start += PIECE
        unsettled = (np.bincount(groups)[groups] > 1) & (lengths == PIECE)
        places, groups = places[unsettled], groups[unsettled]
    ranks = np.empty(len(docnos), dtype=np.int64)
    ranks[order] = np.arange(len(docnos) - 1, -1, -1)
    return ranks
