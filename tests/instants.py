"""Ends of a process at the worst instants: before any change of a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ance_ir.files

ENDED = 77
"""How a process ends that was ended so."""

_CHANGES = ("mkdir", "rename", "replace", "rmdir", "symlink", "unlink")


def end_before(number: int) -> list[str]:
    """End this process at once, without any clearing away, before its change of a name of that number: 0 is the first.

    Changes of names are those that the system does for Python (whichever module asks), and exchanges.

    Returns:
        A list that gets the name of each change.
    """
    seen: list[str] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if len(seen) == number:
                os._exit(ENDED)
            seen.append(name)
            return function(*arguments, **options)

        return called

    for name in _CHANGES:
        setattr(os, name, counted(name, getattr(os, name)))
    ance_ir.files.exchange = counted("exchange", ance_ir.files.exchange)
    return seen


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
