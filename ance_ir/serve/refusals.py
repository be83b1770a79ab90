"""What a request is answered with that is not served."""

from __future__ import annotations

from ance_ir.errors import AnceError


class Refusal(AnceError):
    """A request that is not served.

    Args:
        status: the HTTP status, 400 to 504.
        message: one line: what was expected, and what to do.
        retry_after: seconds after which to ask again; ``None`` where that would not help.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
