"""How much a request may ask for, and a server take on."""

from __future__ import annotations

from dataclasses import dataclass

from ance_ir.errors import UsageError
from ance_ir.pipelines.server import RESULTS as RESULTS

QUERY_CHARACTERS = 10_000
DOCNO_CHARACTERS = 1_000
TEXTS = 1_000
"""Texts to encode or rank, and docnos, of one request."""
TEXT_CHARACTERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes on.

    Attributes:
        body: bytes of a request's body.
        waiting: requests that wait for each system; those that come on top of them are sent away with 503.
        together: requests that are computed together, at most; fewer where they would take long.
        seconds: that a request may take, its body included.

    Raises:
        UsageError: a value is not positive.
    """

    body: int = 4 << 20
    waiting: int = 256
    together: int = 32
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"{name} must be more than 0, not {value}")
