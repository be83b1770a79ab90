"""Public names that have moved or changed: they work for one more release, with a warning that says what to use now."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def moved(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``package``, whose old ``names`` are each mapped to the place that has them now.

    A place is a package or module, followed by ``:`` and the new name where that differs. It is imported by its name when it is asked for,
    so that a package need not know what lies above it.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, _, new = names[name].partition(":")
        new = new or name
        warn_of_old_name(f"{package}.{name}", f"{place}.{new}")
        return getattr(importlib.import_module(place), new)

    return find


def warn_of_old_name(old: str, new: str) -> None:
    """Warn, where the code that uses this package uses it, that a name or value goes with the next release."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ance_ir."):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{old} is now {new}; the old name goes with the next release", FutureWarning, stacklevel=level)
