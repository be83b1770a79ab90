"""Public names that have moved or changed: they work for one more release, with a warning that says what to use now."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def moved(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``package``, whose old ``names`` are each mapped to the package or module that has them now.

    ``"module:name"`` says that the name has changed, too.

    The new place is imported by its name when it is asked for, so that a package need not know what lies above it.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, _, new = names[name].partition(":")
        new = new or name
        warnings.warn(f"{package}.{name} is now {place}.{new}; the old name goes with the next release", FutureWarning, stacklevel=2)
        return getattr(importlib.import_module(place), new)

    return find
