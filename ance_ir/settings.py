"""Settings of transformers, checked wherever they are set: in the constructor, by assignment, by ``pt.GridScan``.

::

    class Retriever(Configured, pt.Transformer):
        num_results = cutoff()
        k1 = number(0)

Two transformers are equal only if they are the same object: settings may change later, and ``pt.GridScan`` knows transformers by identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import cache
from numbers import Integral, Real
from typing import Any, Generic, Self, TypeVar, cast, overload

from ance_ir.errors import UsageError

T = TypeVar("T")

ORIGINAL = "_original"
"""The attribute that holds the original of a variant."""


class Setting(Generic[T]):
    """An attribute whose values are checked.

    Args:
        read: checks a value and returns it as it is kept.

    Raises:
        UsageError: ``read`` refused a value; the setting keeps the one that it had.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.read = read
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, stage: None, owner: type) -> Self: ...
    @overload
    def __get__(self, stage: object, owner: type) -> T: ...
    def __get__(self, stage: object | None, owner: type) -> Self | T:
        if stage is None:
            return self
        held = stage.__dict__
        if self.name in held:
            return cast(T, held[self.name])
        if ORIGINAL in held:
            return cast(T, getattr(held[ORIGINAL], self.name))
        raise AttributeError(f"{owner.__name__} has no {self.name} yet")

    def __set__(self, stage: object, value: Any) -> None:
        try:
            read = self.read(value)
        except UsageError as error:
            raise UsageError(f"{type(stage).__name__}: {self.name} {error}") from None
        held = stage.__dict__
        before, first = dict(held), not _all_set(stage)
        held[self.name] = read
        settle = getattr(stage, "settle", None)
        if settle is not None and _all_set(stage):
            try:
                settle(None if first else self.name)
            except BaseException:
                held.clear()
                held.update(before)
                raise


def _all_set(stage: object) -> bool:
    kind: Any = type(stage)
    return all(hasattr(stage, name) for name in settings_of(kind))


@cache
def settings_of(kind: Any) -> frozenset[str]:
    """The names of a class's settings."""
    return frozenset(name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, Setting))


def as_integer(value: Any, least: int, most: float = math.inf) -> int:
    """A whole number between bounds, also of numpy.

    Raises:
        UsageError: it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        bounds = f", at least {least}" if most == math.inf else f", {least} to {most}"
        raise UsageError(f"must be a whole number{bounds}, not {value!r}")
    return int(value)


def as_number(value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number between bounds, also of numpy.

    Raises:
        UsageError: it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or not least <= float(value) <= most:
        bounds = (
            "" if (least, most) == (-math.inf, math.inf) else f", at least {least:g}" if most == math.inf else f", {least:g} to {most:g}"
        )
        raise UsageError(f"must be a finite number{bounds}, not {value!r}")
    return float(value)


def integer(least: int, most: float = math.inf) -> Setting[int]:
    """A whole number between bounds."""
    return Setting(lambda value: as_integer(value, least, most))


def integer_or_none(least: int) -> Setting[int | None]:
    """A whole number from ``least`` on, or ``None``."""
    return Setting(lambda value: None if value is None else as_integer(value, least))


def number(least: float = -math.inf, most: float = math.inf) -> Setting[float]:
    """A finite number between bounds."""
    return Setting(lambda value: as_number(value, least, most))


def flag() -> Setting[bool]:
    """``True`` or ``False``."""

    def read(value: Any) -> bool:
        if type(value).__name__ not in ("bool", "bool_"):  # numpy's bool has had both names
            raise UsageError(f"must be True or False, not {value!r}")
        return bool(value)

    return Setting(read)


def choice(known: Collection[Any]) -> Setting[Any]:
    """One of several names."""

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in known:
            raise UsageError(f"must be one of {', '.join(known)}, not {value!r}")
        return str(value)

    return Setting(read)


def text(read: Callable[[str], T]) -> Setting[T]:
    """A string that ``read`` parses."""

    def checked(value: Any) -> T:
        if not isinstance(value, str):
            raise UsageError(f"must be a text, not {value!r}")
        try:
            return read(value)
        except UsageError as error:
            raise UsageError(f"is {value!r}: {error.args[0]}") from error

    return Setting(checked)


def of_kind(kind: type[T]) -> Setting[T]:
    """An object of a class."""

    def read(value: Any) -> T:
        if not isinstance(value, kind):
            raise UsageError(f"must be of the class {kind.__name__}, not {value!r:.80}")
        return value

    return Setting(read)


def of_kind_or_none(kind: type[T]) -> Setting[T | None]:
    """An object of a class, or ``None``."""
    needed = of_kind(kind)
    return Setting(lambda value: None if value is None else needed.read(value))


def as_weights(values: Iterable[Any]) -> tuple[float, ...]:
    """Finite numbers, at least one.

    Raises:
        UsageError: they are not.
    """
    try:
        if isinstance(values, Mapping | Set):  # which have no order, or are asked for their keys
            raise TypeError
        return tuple(map(as_number, values))
    except (TypeError, UsageError):
        raise UsageError(f"must be finite numbers, not {values!r}") from None


def having(what: str, *names: str) -> Setting[Any]:
    """An object that has certain attributes, or ``None`` if ``what`` ends with that word."""

    def read(value: Any) -> Any:
        if not (value is None and what.endswith("None")) and not all(hasattr(value, name) for name in names):
            raise UsageError(f"must be {what}, not {value!r:.80}")
        return value

    return Setting(read)
