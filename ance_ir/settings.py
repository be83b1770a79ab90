"""Settings of transformers, checked wherever they are set: in the constructor, by assignment, by ``pt.GridScan``.

::

    class Retriever(Configured, pt.Transformer):
        num_results = cutoff()
        k1 = number(0)

Two transformers are equal only if they are one: their settings may change, so what is equal now need not be so later, and ``pt.GridScan``
knows the transformers that it scans by their identity.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

import pyterrier as pt

from ance_ir.errors import UsageError

T = TypeVar("T")

_ORIGINAL = "_original"


class Setting(Generic[T]):
    """An attribute whose values are checked.

    Args:
        read: the value as it is kept, of what was given.

    Raises:
        UsageError: by ``read``, of what cannot be meant; the setting keeps the value that it had.
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
        if _ORIGINAL in held:
            return cast(T, getattr(held[_ORIGINAL], self.name))
        raise AttributeError(f"{owner.__name__} has no {self.name} yet")

    def __set__(self, stage: object, value: Any) -> None:
        try:
            read = self.read(value)
        except UsageError as error:
            raise UsageError(f"{type(stage).__name__}: {self.name} {error}") from None
        held = stage.__dict__
        before, first = dict(held), not _all_set(stage)
        held[self.name] = read
        if isinstance(stage, Configured) and _all_set(stage):
            try:
                stage.settle(None if first else self.name)
            except BaseException:
                held.clear()
                held.update(before)
                raise


class _Cutoff(Setting[int]):
    """At most as many as the original has, of a variant."""

    @overload
    def __get__(self, stage: None, owner: type) -> Self: ...
    @overload
    def __get__(self, stage: object, owner: type) -> int: ...
    def __get__(self, stage: object | None, owner: type) -> Self | int:
        own = super().__get__(stage, owner)
        if stage is None or _ORIGINAL not in stage.__dict__:
            return own
        original: int = getattr(stage.__dict__[_ORIGINAL], self.name)
        return min(own, original)


def _all_set(stage: object) -> bool:
    kind: Any = type(stage)
    return all(hasattr(stage, name) for name in _settings_of(kind))


@cache
def _settings_of(kind: Any) -> frozenset[str]:
    return frozenset(name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, Setting))


class Configured:
    """What transformers with settings have in common; it stands before ``pt.Transformer`` among the bases."""

    # PyTerrier's own hash is that of the repr
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting; another name would change nothing. Classes of others may have attributes of their own.

        Raises:
            UsageError: there is no such setting.
        """
        kind: Any = type(self)
        ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        if ours and not name.startswith("_") and not hasattr(kind, name):
            known = ", ".join(sorted(_settings_of(kind))) or "none"
            raise UsageError(f"{type(self).__name__} has no setting {name!r}; its settings are {known}")
        super().__setattr__(name, value)

    def settle(self, changed: str | None) -> None:
        """Refuse settings that do not go together; called once all are set, and after each change.

        Args:
            changed: the setting that was changed; ``None`` for the first time.
        """

    def variant(self, **settings: Any) -> Self:
        """The same with some settings of its own; all others are, at any time, those of this one."""
        other = type(self).__new__(type(self))
        other.__dict__[_ORIGINAL] = self
        for name, value in settings.items():
            setattr(other, name, value)
        return other

    if not TYPE_CHECKING:  # a type checker should know attributes that are not there

        def __getattr__(self, name: str) -> Any:
            original = self.__dict__.get(_ORIGINAL)
            if original is None or name.startswith("__"):
                raise AttributeError(f"{type(self).__name__} has no {name}")
            return getattr(original, name)

    def usual(self, name: str, default: Any) -> Any:
        """The value that an argument's default stands for."""
        setting = getattr(type(self), name, None)
        return setting.read(default) if isinstance(setting, Setting) else default

    def __repr__(self) -> str:
        """The class, what it needs, and the settings that are not as usual."""
        told: list[str] = []
        for name, parameter in list(inspect.signature(type(self).__init__).parameters.items())[1:]:
            value = getattr(self, name)
            if parameter.kind is parameter.VAR_POSITIONAL:
                told += map(_told, value)
            elif parameter.default is parameter.empty:
                told.append(_told(value))
            elif value != self.usual(name, parameter.default):
                told.append(f"{name}={_told(value)}")
        return f"{type(self).__name__}({', '.join(told)})"


class Retrieving(Configured, pt.Transformer):
    """What retrievers have in common: ``retriever % k`` finds only what it keeps."""

    num_results: Setting[int] = _Cutoff(lambda value: as_integer(value, 1))

    def fuse_rank_cutoff(self, k: int) -> Self:
        """The same retriever with at most k results; itself where it has no more."""
        return self if self.num_results <= as_cutoff(k) else self.variant(num_results=k)

    def __mod__(self, right: int) -> Self:
        """The first results; settings of this retriever that change later are theirs too."""
        return self.variant(num_results=as_cutoff(right))


def as_integer(value: Any, least: int) -> int:
    """A whole number from ``least`` on, numpy's too.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UsageError(f"must be a whole number, at least {least}, not {value!r}")
    return int(value)


def as_number(value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number between bounds, numpy's too.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or not least <= float(value) <= most:
        bounds = (
            "" if (least, most) == (-math.inf, math.inf) else f", at least {least:g}" if most == math.inf else f", {least:g} to {most:g}"
        )
        raise UsageError(f"must be a finite number{bounds}, not {value!r}")
    return float(value)


def as_cutoff(value: Any) -> int:
    """How many results are kept.

    Raises:
        UsageError: it is no whole number from 1 on.
    """
    try:
        return as_integer(value, 1)
    except UsageError as error:
        raise UsageError(f"a cut-off {error}") from None


def integer(least: int) -> Setting[int]:
    """A whole number from ``least`` on."""
    return Setting(lambda value: as_integer(value, least))


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
    """A text that ``read`` understands."""

    def checked(value: Any) -> T:
        if not isinstance(value, str):
            raise UsageError(f"must be a text, not {value!r}")
        try:
            return read(value)
        except UsageError as error:
            raise UsageError(f"is {value!r}: {error.args[0]}") from error

    return Setting(checked)


def of_kind(kind: type[T]) -> Setting[T]:
    """Something of a class."""

    def read(value: Any) -> T:
        if not isinstance(value, kind):
            raise UsageError(f"must be of the class {kind.__name__}, not {value!r:.80}")
        return value

    return Setting(read)


def of_kind_or_none(kind: type[T]) -> Setting[T | None]:
    """Something of a class, or ``None``."""
    needed = of_kind(kind)
    return Setting(lambda value: None if value is None else needed.read(value))


def as_weights(values: Iterable[Any]) -> tuple[float, ...]:
    """Finite numbers, at least one.

    Raises:
        UsageError: something else.
    """
    try:
        if isinstance(values, Mapping | Set):  # which have no order, or are asked for their keys
            raise TypeError
        return tuple(map(as_number, values))
    except (TypeError, UsageError):
        raise UsageError(f"must be finite numbers, not {values!r}") from None


def having(what: str, *names: str) -> Setting[Any]:
    """Something that has certain attributes, of whatever class, or ``None`` if ``what`` ends with that."""

    def read(value: Any) -> Any:
        if not (value is None and what.endswith("None")) and not all(hasattr(value, name) for name in names):
            raise UsageError(f"must be {what}, not {value!r:.80}")
        return value

    return Setting(read)


def _told(value: Any) -> str:
    """A value for people: indexes by their folders, models by their names."""
    if isinstance(value, Configured):
        return repr(value)
    if inspect.ismethod(value):
        return _told(value.__self__)
    for attribute in ("folder", "path"):
        if isinstance(place := getattr(value, attribute, None), Path):
            return str(place)
    if isinstance(name := getattr(value, "name", None), str) and name != "Transformer":
        precision = getattr(value, "precision", "float32")
        return name if precision == "float32" else f"{name}, {precision}"
    return repr(value)
