"""Base classes of transformers with settings, and what their ``transform`` methods share."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import pandas as pd
import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.settings import ORIGINAL, Setting, as_integer, settings_of


class Configured:
    """Base of transformers with settings; it stands before ``pt.Transformer`` among the bases.

    Attributes:
        stages: the settings that are pipelines; models, indexes and passage schemes are none.
    """

    stages: ClassVar[tuple[str, ...]] = ()

    # PyTerrier's own hash is that of the repr
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting; another name would change nothing. Subclasses outside this package may have attributes of their own.

        Raises:
            UsageError: there is no such setting.
        """
        kind: Any = type(self)
        ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        if ours and not name.startswith("_") and not hasattr(kind, name):
            known = ", ".join(sorted(settings_of(kind))) or "none"
            raise UsageError(f"{type(self).__name__} has no setting {name!r}; its settings are {known}")
        super().__setattr__(name, value)

    def settle(self, changed: str | None) -> None:
        """Refuse settings that do not fit together; called once all are set, and after each change.

        Args:
            changed: the setting that was changed; ``None`` for the first time.
        """

    def variant(self, **settings: Any) -> Self:
        """A copy with some settings of its own; all others follow this one."""
        other = type(self).__new__(type(self))
        other.__dict__[ORIGINAL] = self
        for name, value in settings.items():
            setattr(other, name, value)
        return other

    if not TYPE_CHECKING:  # a type checker should report attributes that do not exist

        def __getattr__(self, name: str) -> Any:
            original = self.__dict__.get(ORIGINAL)
            if original is None or name.startswith("__"):
                raise AttributeError(f"{type(self).__name__} has no {name}")
            return getattr(original, name)

    def usual(self, name: str, default: Any) -> Any:
        """The value of a setting whose argument is left at its default."""
        setting = getattr(type(self), name, None)
        return setting.read(default) if isinstance(setting, Setting) else default

    def subtransformers(self) -> dict[str, Any]:
        """The pipelines among the settings, by name; several under one name are a list, as PyTerrier expects."""
        values = ((name, getattr(self, name)) for name in self.stages)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}

    def __repr__(self) -> str:
        """One line: the class, its required arguments, and the settings that differ from their defaults."""
        shown: list[str] = []
        for name, parameter in list(inspect.signature(type(self).__init__).parameters.items())[1:]:
            value = getattr(self, name)
            if parameter.kind is parameter.VAR_POSITIONAL:
                shown += map(_shown, value)
            elif parameter.default is parameter.empty:
                shown.append(_shown(value))
            elif value != self.usual(name, parameter.default):
                shown.append(f"{name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def inner_stages(transformer: pt.Transformer) -> list[pt.Transformer]:
    """The pipelines that a transformer runs itself; indexes and passage schemes, which are transformers too, are none."""
    found: list[pt.Transformer] = []
    for one in pt.inspect.subtransformers(transformer).values():
        found += one if isinstance(one, list | tuple) else [one]
    return found


def parts_of(transformer: pt.Transformer) -> Iterator[pt.Transformer]:
    """A transformer and those that it runs itself, at any depth."""
    yield transformer
    for one in inner_stages(transformer):
        yield from parts_of(one)


class _Cutoff(Setting[int]):
    """A cut-off, 1 or more; that of a variant is at most its original's."""

    @overload
    def __get__(self, stage: None, owner: type) -> Self: ...
    @overload
    def __get__(self, stage: object, owner: type) -> int: ...
    def __get__(self, stage: object | None, owner: type) -> Self | int:
        own = super().__get__(stage, owner)
        if stage is None or ORIGINAL not in stage.__dict__:
            return own
        original: int = getattr(stage.__dict__[ORIGINAL], self.name)
        return min(own, original)


class Retrieving(Configured, pt.Transformer):
    """Base of retrievers: ``retriever % k`` searches no deeper than k."""

    num_results: Setting[int] = _Cutoff(lambda value: as_integer(value, 1))

    def fuse_rank_cutoff(self, k: int) -> Self:
        """The same retriever with at most k results; itself if it has no more."""
        return self if self.num_results <= _cutoff(k) else self.variant(num_results=k)

    def __mod__(self, right: int) -> Self:
        """The first results; settings of this retriever that change later apply to it too."""
        return self.variant(num_results=_cutoff(right))


def _cutoff(value: Any) -> int:
    try:
        return as_integer(value, 1)
    except UsageError as error:
        raise UsageError(f"a cut-off {error}") from None


def labelled(label: str, **more: str) -> dict[str, str | None]:
    """The ``schematic`` of a transformer: its label in diagrams. Without a help_url PyTerrier would look for its page on the network."""
    return {"label": label, "help_url": None, **more}


def query_columns(frame: pd.DataFrame, *, without: str = "") -> list[str]:
    """The columns of a frame that belong to the query (their names begin with ``q``), in their order, but for one if that is named."""
    of_queries = set(pt.model.query_columns(frame)) - {without}
    return [column for column in frame.columns if column in of_queries]


def _shown(value: Any) -> str:
    """A value for people: indexes by their folders, models and functions by their names."""
    if isinstance(value, Configured):
        return repr(value)
    if inspect.ismethod(value):
        return _shown(value.__self__)
    if inspect.isfunction(value):
        return value.__qualname__
    for attribute in ("folder", "path"):
        if isinstance(place := getattr(value, attribute, None), Path):
            return str(place)
    if isinstance(name := getattr(value, "name", None), str) and name != "Transformer":
        precision = getattr(value, "precision", "float32")
        return name if precision == "float32" else f"{name}, {precision}"
    return repr(value)
