"""firstp[:LENGTH] takes the first tokens as the only passage."""

from __future__ import annotations

from typing import ClassVar

from ance_ir.indexes.passages._scheme import Scheme


class FirstP(Scheme):
    """The document's first tokens are its only passage."""

    schematic: ClassVar[dict[str, str | None]] = {"label": "FirstP", "help_url": None}

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """The first ``room`` tokens."""
        return [(0, min(tokens, room))] if tokens else []


SCHEME = FirstP
