"""The options in brackets after a stage: how their values are read. Which ones a stage has, its kind says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ance_ir.errors import PointedError, UsageError
from ance_ir.pipelines.systems.tree import Stage

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}


def yes_or_no(text: str) -> bool | None:
    """Whether a value says yes or no; ``None`` for any other."""
    return None if text.lower() not in _YES | _NO else text.lower() in _YES


def model_name(text: str) -> str:
    """A model's folder or name."""
    separated = re.sub(r",(?=\s*\w+\s*=)", ";", text)
    if separated != text:
        raise UsageError(f"options are separated by ; and not by commas: {separated!r}")
    return text


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"expected a number, not {text!r}") from None


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise UsageError(f"expected a whole number, not {text!r}")
    return int(text)


Readers = Mapping[str, Callable[[str], Any]]
"""The reader of each option's value, by the option's name."""


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
