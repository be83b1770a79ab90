"""What a pipeline is, in a hash: equal for pipelines that give the same results, as far as that can be known."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pyterrier as pt

from ance_ir import __version__

_SHOWN_ONLY = {"cache", "progress", "verbose"}
"""Arguments that change what is shown or kept, not what is found."""


def fingerprint(pipeline: pt.Transformer) -> str | None:
    """Hash (128 bits, hexadecimal) of a pipeline: its stages' classes and arguments, and the contents of models and indexes among these.

    Contents are what an object's own ``fingerprint`` (a method or an attribute) says.

    Returns:
        ``None`` where a stage is, or holds, something of which nobody can say whether it does the same tomorrow: a function, the path of
        files, or a class that is neither PyTerrier's, nor of its plugins, nor of this package, and has no ``fingerprint`` of its own.
    """
    try:
        told = json.dumps([__version__, _told(pipeline)], sort_keys=True)
    except _UnknownError:
        return None
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


class _UnknownError(Exception):
    pass


def _told(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _told(item) for name, item in value.items()}
    if inspect.ismethod(value):
        return [value.__name__, _told(value.__self__)]
    if hasattr(value, "fingerprint"):
        own = value.fingerprint() if callable(value.fingerprint) else value.fingerprint
        if own is None:
            raise _UnknownError(repr(value))
        return [own, getattr(value, "precision", None)]
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if not re.match(r"(ance_ir|pyterrier(_\w+)?)\.", name):
        raise _UnknownError(name)
    if isinstance(value, pt.Transformer):
        stated = {attribute.name: attribute.value for attribute in pt.inspect.transformer_attributes(value, strict=False)}
        if not name.startswith("ance_ir.") and any(isinstance(item, str) and os.path.exists(item) for item in stated.values()):
            raise _UnknownError(name)
        return [name, {key: _told(item) for key, item in stated.items() if key not in _SHOWN_ONLY}]
    if is_dataclass(value):
        return [name, {field.name: _told(getattr(value, field.name)) for field in fields(value)}]
    raise _UnknownError(name)
