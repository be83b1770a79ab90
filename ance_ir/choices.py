"""One of several names: the check, and the message that lists them."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from ance_ir.errors import UsageError


def check_choice(kind: str, value: Any, known: Collection[str]) -> str:
    """``value``, which is one of the ``known`` names.

    Raises:
        UsageError: it is none of them; the message says what ``kind`` of name was expected, the nearest one and all of them.
    """
    if isinstance(value, str) and value in known:
        return str(value)
    near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"unknown {kind} {value!r}.{hint} Known: {', '.join(known) or 'none'}")
