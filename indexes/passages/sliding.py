"""sliding[:LENGTH,STRIDE] cuts the whole document into overlapping passages, one every STRIDE tokens."""

from __future__ import annotations

from typing import ClassVar

from ance_ir.indexes.passages._scheme import Scheme
from ance_ir.settings import integer


class SlidingWindow(Scheme):
    """The whole document in overlapping passages, one every ``stride`` tokens; the last one may be shorter."""

    schematic: ClassVar[dict[str, str | None]] = {"label": "Sliding window", "help_url": None}
    whole = True
    stride = integer(1)

    def __init__(self, length: int | None = None, stride: int = 64) -> None:
        super().__init__(length)
        self.stride = stride

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """Windows of ``room`` tokens until one reaches the end; text between windows is never skipped."""
        stride = min(self.stride, room)
        starts = range(0, max(tokens - room, 0) + stride, stride) if tokens else ()
        return [(start, min(start + room, tokens)) for start in starts]


SCHEME = SlidingWindow
