"""The options in brackets after a stage: which ones each kind of stage has, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import Any

from ance_ir.errors import PointedError, UsageError
from ance_ir.indexes import AnceIndex, parse_passages
from ance_ir.models import TextSettings
from ance_ir.models.text.prompts import INSTRUCTION, USUAL
from ance_ir.models.text.settings import OPENING, parse_settings
from ance_ir.pipelines.bm25 import RM3
from ance_ir.pipelines.feedback import FEEDBACKS
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.systems.tree import Stage

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}


def _model(text: str) -> str:
    separated = re.sub(r",(?=\s*\w+\s*=)", ";", text)
    if separated != text:
        raise UsageError(f"options are separated by ; and not by commas: {separated!r}")
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"expected a number, not {text!r}") from None


def _rm3(text: str) -> RM3 | None:
    if text.lower() in _YES | _NO:
        return RM3() if text.lower() in _YES else None
    found = re.fullmatch(r"(\d+)\s*,\s*(\d+)\s*,\s*((?:\d*\.)?\d+)", text)
    if not found:
        raise UsageError(f"rm3 is yes, no or DOCUMENTS,TERMS,WEIGHT such as 10,10,0.5, not {text!r}")
    return RM3(int(found[1]), int(found[2]), float(found[3]))


def _feedback(text: str) -> Callable[[AnceIndex], VectorPRF]:
    """Makes the transformer that stands between two retrievals."""
    found = re.fullmatch(r"(\w+)(?::(0*[1-9]\d*(?:,(?:\d*\.)?\d+)*))?", re.sub(r"\s", "", text.lower()))
    kind = FEEDBACKS.get(found[1]) if found else None
    values = found[2].split(",") if found and found[2] else []
    if kind is None or len(values) not in (0, len(kind.parameters)):
        forms = [f"{name}[:{','.join(FEEDBACKS[name].parameters).upper()}]" for name in FEEDBACKS]
        raise UsageError(f"prf is {' or '.join(forms)}, e.g. rocchio:5,0.4,0.6, not {text!r}")
    settings: dict[str, Any] = dict(zip(kind.parameters, map(float, values), strict=False))
    if values:
        settings["depth"] = int(values[0])
    return partial(kind, **settings)


def _instructions(text: str) -> str | None:
    """The form in which the collection's instruction is put before queries; ``""`` for the model's own."""
    if text.lower() in _YES | _NO:
        return "" if text.lower() in _YES else None
    if INSTRUCTION not in text:
        raise UsageError(f"instructions is yes, no or a form with {INSTRUCTION} in it, e.g. {USUAL!r}, not {text!r}")
    return text.replace("\\n", "\n")


Kinds = Mapping[str, Callable[[str], Any]]
"""The reader of each option's value, by the option's name."""

BM25: Kinds = {"engine": str, "k1": _number, "b": _number, "stemmer": str, "stopwords": str, "rm3": _rm3}
INDEX: Kinds = {"backend": str, "aggregation": str, "prf": _feedback}
TEXT = (*(field.name for field in fields(TextSettings)), *OPENING)
DENSE: Kinds = {"model": _model, "passages": parse_passages, "instructions": _instructions, **INDEX, **dict.fromkeys(TEXT, str)}
RERANKER: Kinds = {"passages": parse_passages, "instruction": lambda text: text.replace("\\n", "\n")}
READER: Kinds = {"by": str}
BERT: Kinds = {"model": str, **RERANKER}


def read_options(stage: Stage, kinds: Kinds, text: str) -> dict[str, Any]:
    """The values of a stage's options, by name.

    Args:
        stage: has the options.
        kinds: the options that it may have.
        text: the whole system, for errors.

    Raises:
        PointedError: there is no such option, it comes twice, or it cannot have that value.
    """
    values: dict[str, Any] = {}
    for option in stage.options:
        with pointing(text, option.place):
            if option.name not in kinds:
                raise UsageError(f"{stage.written} has the options {', '.join(kinds)}, not {option.name!r}")
            if option.name in values:
                raise UsageError(f"{option.name} comes twice")
            values[option.name] = kinds[option.name](option.value)
    return values


def text_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a dense model that are text settings, as ``from_pretrained`` takes them."""
    return parse_settings(f"{name}={options[name]}" for name in TEXT if name in options)


@contextmanager
def pointing(text: str, place: int) -> Iterator[None]:
    """While entered, a UsageError becomes one that points at a place in the text."""
    try:
        yield
    except PointedError:
        raise
    except UsageError as error:
        raise PointedError(str(error), text, place) from error
