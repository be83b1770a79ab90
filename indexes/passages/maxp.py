"""maxp[:LENGTH,COUNT] cuts the first tokens into up to COUNT passages."""

from __future__ import annotations

from typing import ClassVar

from ance_ir.indexes.passages._scheme import Scheme
from ance_ir.settings import integer


class MaxP(Scheme):
    """The document's first tokens in up to ``count`` passages that do not overlap; the last one may be shorter.

    A document scores as its best passage. The model's ``max_characters`` cuts the text first; raise it for more than about 2,000 tokens.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "MaxP", "help_url": None}
    count = integer(1)

    def __init__(self, length: int | None = None, count: int = 4) -> None:
        super().__init__(length)
        self.count = count

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """The first ``count × room`` tokens, cut every ``room``."""
        return [(start, min(start + room, tokens)) for start in range(0, min(tokens, self.count * room), room)]


SCHEME = MaxP
