"""The check of a name among several."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from ance_ir.errors import UsageError


def check_choice(kind: str, value: Any, known: Collection[str], hint: str = "") -> str:
    """``value``, which is one of the ``known`` names.

    Args:
        kind: what the names are names of, for the message.
        value: as it was given.
        known: the names.
        hint: a sentence to add to the message.

    Raises:
        UsageError: it is none of them; the message has the nearest one and all of them.
    """
    if isinstance(value, str) and value in known:
        return str(value)
    near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"unknown {kind} {value!r}.{suggestion} Known: {', '.join(known) or 'none'}{f'. {hint}' if hint else ''}")
