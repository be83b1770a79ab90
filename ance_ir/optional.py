"""Imports of optional packages, with errors that tell a missing package from a broken one."""

from __future__ import annotations

import importlib
from typing import Any

from ance_ir.errors import BrokenDependencyError, MissingDependencyError


def optional(module: str, *, needed_for: str, remedy: str, package: str | None = None) -> Any:
    """A module of a package that is installed for some uses only.

    Args:
        module: its full name.
        needed_for: its use, for the message.
        remedy: what to do if the package is not installed, such as ``pip install 'ance_ir[report]'``.
        package: its name on PyPI, if that is not the module's first part.

    Raises:
        MissingDependencyError: it is not installed.
        BrokenDependencyError: it is, and its import fails: a system library, or a package that it needs, is missing or too old.
    """
    top = module.partition(".")[0]
    package = package or top
    try:
        importlib.import_module(top)
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == top:
            raise MissingDependencyError(package, needed_for, remedy) from error
        raise BrokenDependencyError(package, needed_for, error) from error
    except Exception as error:  # an import can raise anything: libraries that do not load, versions that do not fit
        raise BrokenDependencyError(package, needed_for, error) from error
