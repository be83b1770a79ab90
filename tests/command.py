"""The command ``ance-ir`` in the tests' own process: the type of the fixture ``run``."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""From arguments, of any type, to exit code, standard output and standard error."""
