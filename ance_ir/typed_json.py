"""JSON, and TOML, whose type is checked.

Types are written as annotations: ``TypedDict`` and dataclasses for objects, ``list[…]``, ``tuple[…, …]``, ``dict[str, …]``, ``Literal``,
unions, and Python's scalars. Whole numbers have 64 bits, others are finite, and UTF-8 can encode the strings.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from ance_ir.errors import AnceError, DatasetError
from ance_ir.files import read_json
from ance_ir.reading import read_text

_LARGEST = 2**63
_SCALARS: dict[Any, str] = {int: "a whole number", float: "a finite number", str: "a string", bool: "true or false", type(None): "null"}


def read_typed(path: Path, kind: Any, *, error: type[AnceError], remedy: str) -> Any:
    """The value of a JSON file.

    Args:
        path: the file.
        kind: the value's type; an object may have more keys.
        error: the class to raise.
        remedy: what to do about that, for the message.

    Raises:
        FileNotFoundError: there is no such file.
        error: it cannot be read, is no JSON, or its value has another type.
    """
    try:
        value = read_json(path)
    except FileNotFoundError:
        raise
    except (OSError, DatasetError) as fault:
        raise error(f"{path}: expected JSON, {fault}; {remedy}") from fault
    if found := type_fault(value, kind):
        raise error(f"{path}: {found}; {remedy}")
    return value


def read_typed_toml(path: Path, kind: Any, *, error: type[AnceError]) -> Any:
    """The content of a TOML file.

    Args:
        path: the file.
        kind: the type of its table, which may have more keys.
        error: the class to raise.

    Raises:
        FileNotFoundError: there is no such file.
        error: it is no TOML, or its content has another type.
    """
    try:
        content = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, DatasetError) as fault:
        raise error(f"{path}: expected TOML, {fault}") from fault
    if found := type_fault(content, kind):
        raise error(f"{path}: {found}")
    return content


def type_fault(value: Any, kind: Any, name: str = "") -> str:
    """What was expected and what was found; ``""`` if the value has the type.

    Args:
        value: parsed JSON.
        kind: the type.
        name: its place in the file.
    """
    if kind is Any:
        return ""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return type_fault(value, inner[0], name)
    if origin is Literal:
        fits = any(value == one and type(value) is type(one) for one in inner)
        return "" if fits else _fault(name, " or ".join(map(repr, inner)), value)
    if origin in (Union, UnionType):
        faults = [type_fault(value, one, name) for one in inner]
        return "" if "" in faults else max(faults, key=len)
    if origin in (list, tuple):
        return _list_fault(value, inner[0], name)
    if is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return _object_fault(value, kind, name)
    if kind is dict or origin is dict:
        return _dict_fault(value, inner[1] if inner else Any, name)
    return "" if _is_scalar(value, kind) else _fault(name, _SCALARS[kind], value)


def _fault(name: str, expected: str, found: Any) -> str:
    shown = repr(found)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return f"expected {expected}{f' under {name}' if name else ''}, found {shown}"


def _is_scalar(value: Any, kind: Any) -> bool:
    if kind is float and type(value) is int:
        return abs(value) < _LARGEST
    if type(value) is not kind:
        return False
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return -_LARGEST <= value < _LARGEST if kind is int else math.isfinite(value)
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value))


def _list_fault(value: Any, kind: Any, name: str) -> str:
    if not isinstance(value, list | tuple):
        return _fault(name, "a list", value)
    return next(filter(None, (type_fault(one, kind, f"{name}[{place}]") for place, one in enumerate(value))), "")


def _dict_fault(value: Any, kind: Any, name: str) -> str:
    if not isinstance(value, dict):
        return _fault(name, "an object", value)
    keys = (_fault(name, "keys that are strings", key) for key in value if not _is_scalar(key, str))
    values = (type_fault(one, kind, f"{name}.{key}" if name else key) for key, one in value.items())
    return next(filter(None, [*keys, *values]), "")


def _object_fault(value: Any, kind: Any, name: str) -> str:
    if not isinstance(value, dict):
        return _fault(name, "an object", value)
    hints, required = _keys(kind)
    if missing := sorted(required - value.keys()):
        return _fault(name, f"the key {missing[0]!r}", value)
    known = ((key, one) for key, one in hints.items() if key in value)
    return next(filter(None, (type_fault(value[key], one, f"{name}.{key}" if name else key) for key, one in known)), "")


@functools.cache
def _keys(kind: Any) -> tuple[dict[str, Any], set[str]]:
    """An object's keys with their types, and those that it must have."""
    hints = get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        fields = dataclasses.fields(kind)
        return hints, {one.name for one in fields if one.default is missing and one.default_factory is missing}
    # Python 3.11 does not recognise NotRequired in string annotations
    return hints, {key for key, one in hints.items() if get_origin(one) is not NotRequired}
