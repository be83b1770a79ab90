"""chunks[:LENGTH,COUNT] cuts one sequence of tokens, special ones included, every LENGTH: up to COUNT passages (the reference's MaxP)."""

from __future__ import annotations

from typing import ClassVar

from ance_ir.indexes.passages.maxp import MaxP


class Chunks(MaxP):
    """The document as one sequence with special tokens, cut into up to ``count`` passages: only the first begins with a special token.

    ANCE's released MaxP model was trained on such passages (microsoft/ANCE, model/models.py, ``RobertaDot_CLF_ANN_NLL_MultiChunk``).
    Passages of padding alone, which are indexed there too, are left out here. For rerankers, which put special tokens around a query
    and a passage, it cuts as ``MaxP`` does.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "MaxP of one sequence", "help_url": None}
    special_once = True


SCHEME = Chunks
