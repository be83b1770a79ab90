"""The options in brackets after a stage: how their values are read. Which ones a stage has, its kind says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from ance_ir.errors import PointedError, UsageError
from ance_ir.files import as_path, restore
from ance_ir.pipelines.systems.tree import Stage

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}


def yes_or_no(text: str) -> bool | None:
    """Whether a value says yes or no; ``None`` for any other."""
    return None if text.lower() not in _YES | _NO else text.lower() in _YES


def model_name(text: str) -> str:
    """A model's folder or name; a folder that no hub's name could be must be there."""
    separated = re.sub(r",(?=\s*\w+\s*=)", ";", text)
    if separated != text:
        raise UsageError(f"options are separated by ; and not by commas: {separated!r}")
    if text.startswith((".", "/", "~")):
        restore(path := as_path(text))
        if not path.exists():
            raise UsageError(f"there is no folder {text}")
    return text


Reader = Callable[[str], Any]
"""Reads the value of an option; its UsageError names the option."""

Readers = Mapping[str, Reader]
"""The reader of each option's value, by the option's name."""


def read_by(name: str, read: Callable[[Any], Any]) -> Reader:
    """Reads a number, whole or not, that is checked as a setting of a transformer is.

    Args:
        name: of the option, or of the part of its value.
        read: checks the number; its error is the end of a sentence that begins with the name.
    """

    def reader(text: str) -> Any:
        try:
            value = int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)
        except ValueError:
            raise UsageError(f"{name} is a number, not {text!r}") from None
        try:
            return read(value)
        except UsageError as error:
            raise UsageError(f"{name} {error}") from None

    return reader


def one_of(name: str, *known: str) -> Reader:
    """Reads one of several words."""

    def reader(text: str) -> str:
        if text not in known:
            raise UsageError(f"{name} is {' or '.join(known)}, not {text!r}")
        return text

    return reader


def kind_with_numbers(name: str, kinds: Mapping[str, Any], example: str) -> Callable[[str], partial[Any]]:
    """Reads ``KIND[:NUMBER,…]``, such as ``rocchio:5,0.4,0.6``: the class, called with all its ``parameters`` or with none.

    Args:
        name: of the option.
        kinds: classes with ``parameters``, each of which is a ``Setting``.
        example: of a value, for errors.
    """

    def reader(text: str) -> partial[Any]:
        word, colon, rest = re.sub(r"\s", "", text.lower()).partition(":")
        kind, values = kinds.get(word), rest.split(",") if colon else []
        if kind is None or len(values) != (len(kind.parameters) if colon else 0):
            forms = [f"{one}[:{','.join(kinds[one].parameters).upper()}]" for one in kinds]
            raise UsageError(f"{name} is {' or '.join(forms)}, e.g. {example}, not {text!r}")
        read = {parameter: read_by(f"{name}={word}: {parameter}", getattr(kind, parameter).read) for parameter in kind.parameters}
        return partial(kind, **{parameter: read[parameter](value) for parameter, value in zip(read, values, strict=False)})

    return reader


def read_options(stage: Stage, readers: Readers, text: str) -> dict[str, Any]:
    """The values of a stage's options, by name.

    Args:
        stage: has the options.
        readers: of the options that it may have.
        text: the whole system, for errors.

    Raises:
        PointedError: there is no such option, it comes twice, or it cannot have that value.
    """
    values: dict[str, Any] = {}
    for option in stage.options:
        with pointing(text, option.place):
            if option.name not in readers:
                known = f"has the options {', '.join(readers)}" if readers else "takes no options"
                raise UsageError(f"{stage.written} {known}, not {option.name!r}")
            if option.name in values:
                raise UsageError(f"{option.name} comes twice")
            values[option.name] = readers[option.name](option.value)
    return values


def one_of_each(stage: Stage, word: str, made_with: Mapping[str, str | None]) -> str:
    """What to write in place of an index of one collection: see ``Kind.instead``.

    Args:
        stage: names the index.
        word: makes and keeps an index of each collection.
        made_with: the options with which it makes one like this.
    """
    options = {**made_with, **{option.name: option.value for option in stage.options}}
    shown = "; ".join(f"{name}={value}" for name, value in options.items() if value)
    written = f"{word}[{shown}]" if shown else word
    return f"is an index of one collection; write {written}, which makes and keeps an index of each"


@contextmanager
def pointing(text: str, place: int) -> Iterator[None]:
    """While entered, a UsageError becomes one that points at a place in the text."""
    try:
        yield
    except PointedError:
        raise
    except UsageError as error:
        raise PointedError(str(error), text, place) from error
