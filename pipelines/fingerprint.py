"""The fingerprint of a pipeline: equal for pipelines that give the same results, as far as that can be known."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir import __version__
from ance_ir.digests import digest_of
from ance_ir.errors import UsageError
from ance_ir.files import as_path
from ance_ir.models import CrossEncoder, Reader

_SHOWN_ONLY = {"cache", "progress", "verbose"}
"""Arguments that do not change the results."""

_MODULE = re.compile(r"(ance_ir\.(?:indexes\.passages|pipelines\.(?:feedback|fusion)))\..+|(ance_ir\.models)\.dense(\.transformers)")
_SHORT = r"\1\2\3"
"""Where classes lie within these packages does not count, so that runs from before they moved are used again."""


def fingerprint(pipeline: pt.Transformer) -> str | None:
    """Hash (128 bits, hexadecimal) of a pipeline: its stages' classes and arguments, and the contents of models and indexes among these.

    The contents of an object are given by its own ``fingerprint``, a method or an attribute.

    Returns:
        ``None`` if a stage is or holds something that may behave differently tomorrow: a function, the path of files, or an object without
        a ``fingerprint`` whose class belongs neither to PyTerrier, nor to its plugins, nor to this package.
    """
    try:
        return _fingerprint(pipeline)
    except _UnknownError:
        return None


def cache_path(folder: Path | str, pipeline: pt.Transformer) -> Path:
    """A place in a folder for a cache of what a pipeline gives: another one for other models, indexes or settings.

    Caches such as pyterrier_caching's know queries and documents, not what answered: in a place of its own,
    ``RetrieverCache(cache_path("caches", retriever), retriever)`` never gives the results of another model.

    Args:
        folder: where the caches of all pipelines are; it is not made.
        pipeline: a transformer of this package, of PyTerrier or its plugins, or several of them.

    Raises:
        UsageError: the pipeline has no fingerprint; see there.
    """
    try:
        return as_path(folder) / _fingerprint(pipeline)
    except _UnknownError as error:
        raise UsageError(f"results of {pipeline!r} cannot be kept: {error} may give others tomorrow; cache the stages before it") from None


def _fingerprint(pipeline: pt.Transformer) -> str:
    return digest_of([__version__, _identity(pipeline)])


class _UnknownError(Exception):
    pass


def _identity(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _identity(item) for name, item in value.items()}
    if inspect.ismethod(value):
        return [value.__name__, _identity(value.__self__)]
    if hasattr(value, "fingerprint"):
        own = value.fingerprint() if callable(value.fingerprint) else value.fingerprint
        if own is None:
            raise _UnknownError(repr(value))
        # the hash of a reranker's or reader's own weights knows their precision
        at_home = isinstance(value, CrossEncoder | Reader) and value.conversion is None
        return [own, None if at_home else getattr(value, "precision", None)]
    name = f"{_MODULE.sub(_SHORT, type(value).__module__)}.{type(value).__qualname__}"
    if not re.match(r"(ance_ir|pyterrier(_\w+)?)\.", name):
        raise _UnknownError(name)
    if isinstance(value, pt.Transformer):
        stated = {attribute.name: attribute.value for attribute in pt.inspect.transformer_attributes(value, strict=False)}
        if not name.startswith("ance_ir.") and any(isinstance(item, str) and os.path.exists(item) for item in stated.values()):
            raise _UnknownError(name)
        return [name, {key: _identity(item) for key, item in stated.items() if key not in _SHOWN_ONLY}]
    if is_dataclass(value):
        return [name, {field.name: _identity(getattr(value, field.name)) for field in fields(value)}]
    raise _UnknownError(name)
