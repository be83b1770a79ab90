"""Public names that have moved: they work for one more release, with a warning that says where they are now."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def moved(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``package``, whose old ``names`` are each mapped to the package or module that has them now.

    The new place is imported by its name when it is asked for, so that a package need not know what lies above it.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        warnings.warn(f"{package}.{name} is now {names[name]}.{name}; the old name goes with the next release", FutureWarning, stacklevel=2)
        return getattr(importlib.import_module(names[name]), name)

    return find
