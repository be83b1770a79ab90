"""Passage schemes from their text form."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

from ance_ir import registries
from ance_ir.errors import UsageError
from ance_ir.models import PassageScheme
from ance_ir.registry import Registry

SCHEMES: Registry[Callable[..., PassageScheme]] = registries.PASSAGES


def parse_passages(text: str) -> PassageScheme:
    """A scheme from its text form: ``firstp``, ``firstp:128``, ``maxp:512,4``, ``sliding:256,128``.

    Raises:
        UsageError: there is no such scheme, or it takes fewer numbers.
    """
    match = re.fullmatch(r"(\w+)(?::(?=.*\d)(\d{0,9}(?:,\d{1,9})*))?", text.strip().lower())
    if not match or match[1] not in SCHEMES:
        raise UsageError(f"no passage scheme {text!r}; known: {'; '.join(map(SCHEMES.summary, SCHEMES))}")
    kind = SCHEMES[match[1]]
    numbers = [int(number) if number else None for number in match[2].split(",")] if match[2] else []
    most = len(inspect.signature(kind).parameters)
    if len(numbers) > most:
        raise UsageError(f"{match[1]} takes at most {most} {'number' if most == 1 else 'numbers'}, not {len(numbers)}: {text!r}")
    return kind(*numbers)
