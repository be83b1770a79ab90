"""How models read text: lengths, fields, case, prefixes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Protocol, Self, get_args, get_type_hints

import pandas as pd

from ance_ir.choices import check_choice
from ance_ir.errors import ModelError, UsageError
from ance_ir.typed_json import type_fault

FIELDS = ("url", "title", "text")

OPENING: dict[str, type] = {
    "pooling": str,
    "similarity": str,
    "normalize": bool,
    "query_prompt": str,
    "passage_prompt": str,
    "instruction": str,
    "merge_adapter": bool,
}
"""What ``DenseEncoder.from_pretrained`` takes in addition to text settings, and its type."""

LATER = {"later": True}
"""Of a setting that came after the first fingerprints; where it has its default, they stay as they were."""

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}

Text = str | tuple[str, str]
"""A text, or the two texts of a pair (title, text)."""


class PassageScheme(Protocol):
    """Says how a document is cut into passages. Implementations: ``ance_ir.indexes.FirstP``, ``MaxP``, ``SlidingWindow``,
    ``Chunks``.
    """

    length: int | None
    """Tokens of a passage, special ones included; ``None`` is the model's passage length."""
    whole: bool
    """Whether the scheme covers documents of any length; otherwise ``TextSettings.max_characters`` bounds the work."""
    special_once: bool
    """Whether special tokens stand once around a document that is then cut; otherwise around each of its passages."""

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """Half-open token ranges of the passages of a text.

        Args:
            tokens: the text's length in tokens; with ``special_once`` special ones are included.
            room: tokens that fit into a passage, in addition to special ones that each passage has.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a model reads text; part of its fingerprint."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The settings in a checkpoint's JSON.

        Raises:
            ModelError: a setting is unknown, or of another type.
        """
        if fault := type_fault(value, cls):
            raise ModelError(f"settings of a model: {fault}")
        if unknown := sorted(value.keys() - {field.name for field in dataclasses.fields(cls)}):
            raise ModelError(f"settings of a model: {', '.join(unknown)} are not known; a newer version of this package wrote them")
        return cls(**{name: tuple(one) if isinstance(one, list) else one for name, one in value.items()})

    def changed(self, **changes: Any) -> Self:
        """These settings with some of them changed.

        Raises:
            UsageError: there is no such setting, or it cannot have that value.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            check_choice("setting", name, known)
        return dataclasses.replace(self, **changes)

    def hashed(self) -> dict[str, Any]:
        """What a fingerprint depends on, and by what a resumed run knows that it is the same."""
        fields = dataclasses.fields(self)
        return {one.name: getattr(self, one.name) for one in fields if not one.metadata or getattr(self, one.name) != one.default}

    def rows(self, *, changed_only: bool = False) -> dict[str, str]:
        """The settings as text, by the names under which they can be changed; perhaps only those that differ from the defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        return {
            name: ",".join(value) if isinstance(value, tuple) else repr(value)
            for name, (value, default) in values.items()
            if not changed_only or value != default
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """The text settings of a dense encoder.

    Attributes:
        query_length: tokens of a query, special ones included.
        passage_length: tokens of a passage, special ones included.
        fields: the document's fields that are joined, in this order; a field that a document lacks is skipped.
        separator: what joins them.
        title_pair: the title, where a document has one, and the rest are the two texts of a pair, as the DPR models read passages.
        title_types: what comes after the title of a pair is of token type 1 (SimLM); otherwise, as of the DPR models, all types are 0.
        untitled: the title, in a pair, of a document that has none; empty: such a document is a text of its own.
        lower_case: lower-case the text here, before the tokeniser (modern RoBERTa tokenisers ignore their own setting).
        max_characters: cut texts to so many characters first; ``None`` never cuts.
        query_prefix: put before each query.
        passage_prefix: put before each passage's text.
        strip_question_mark: take a "?" off a query's end, as the DPR models' questions were.
        end_token: the token after each text, instead of those that the tokeniser puts there; ``""`` for none.
        mask_padding: pad queries with mask tokens, which count as tokens, up to ``query_length`` (TCT-ColBERT).
    """

    query_length: int = 64
    passage_length: int = 512
    fields: tuple[str, ...] = ("title", "text")
    separator: str = " "
    title_pair: bool = False
    lower_case: bool = False
    max_characters: int | None = 10_000
    query_prefix: str = ""
    passage_prefix: str = ""
    strip_question_mark: bool = False
    end_token: str | None = dataclasses.field(default=None, metadata=LATER)
    mask_padding: bool = dataclasses.field(default=False, metadata=LATER)
    title_types: bool = dataclasses.field(default=False, metadata=LATER)
    untitled: str = dataclasses.field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        if self.query_length < 3 or self.passage_length < 3:
            raise UsageError(
                "lengths count the special tokens, so they start at 3: "
                f"query_length={self.query_length}, passage_length={self.passage_length}"
            )
        check_fields(self.fields, self.max_characters)
        if not self.title_pair and (self.title_types or self.untitled):
            raise UsageError("title_types and untitled are for pairs of title and text: set title_pair too, or neither of them")

    def join(self, document: Mapping[str, Any]) -> Text:
        """The text of a document: its fields, joined; a pair with ``title_pair``, where there is a title."""
        values = given_fields(document, self.fields)
        title = values.pop("title", self.untitled or None) if self.title_pair else None
        text = self.separator.join(values.values())
        return text if title is None else (title, text)

    def join_frame(self, documents: pd.DataFrame) -> list[Text]:
        """The texts of a frame of documents."""
        return [self.join(document) for document in documents_of(documents, self.fields)]


def check_fields(fields: Sequence[str], max_characters: int | None) -> None:
    """Refuse settings that no document can be read with.

    Raises:
        UsageError: says which.
    """
    if not fields or any(field not in FIELDS for field in fields):
        raise UsageError(f"fields are some of {', '.join(FIELDS)}, not {fields!r}")
    if max_characters is not None and max_characters < 1:
        raise UsageError(f"max_characters is a positive number or None, not {max_characters}")


def given_fields(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, str]:
    """Those of the fields that a document has, in their order."""
    return {field: value for field in fields if isinstance(value := document.get(field), str) and value}


def documents_of(frame: pd.DataFrame, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The documents of a frame, with those of the fields that it has.

    Raises:
        UsageError: a ``text`` is missing, or a field is of another type than text; other missing ones (``None``, NaN) are none.
    """
    for field in fields:
        if field in frame.columns:
            _check_field(frame, field)
    names = [field for field in fields if field in frame.columns]
    return (dict(zip(names, values, strict=True)) for values in frame[names].itertuples(index=False, name=None))


def given_texts(frame: pd.DataFrame, field: str) -> list[str]:
    """The texts of a field in the rows of a frame; titles and URLs that are missing are ``""``.

    Raises:
        UsageError: a ``text`` is missing, or one is of another type.
    """
    if field not in frame.columns:
        return [""] * len(frame)
    _check_field(frame, field)
    return [text if isinstance(text, str) else "" for text in frame[field]]


def _check_field(frame: pd.DataFrame, field: str) -> None:
    """Refuse a column of documents in which one has no text, or has something of another type."""
    required = field == "text"
    values = frame[field].astype(object)
    if pd.api.types.infer_dtype(values, skipna=not required) in ("string", "empty"):
        return
    for number, value in enumerate(values):
        if not isinstance(value, str) and (required or not pd.api.types.is_scalar(value) or not pd.isna(value)):
            docno = repr(frame["docno"].iloc[number]) if "docno" in frame.columns else f"of row {number}"
            raise UsageError(f"document {docno}: expected a {field} that is a string, found {value!r} ({type(value).__name__})")


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Text settings from ``NAME=VALUE``, e.g. ``fields=url,title,text``, ``lower_case=yes``, ``max_characters=none``, and what else
    ``OPENING`` has.

    Raises:
        UsageError: no such setting, or a value that it cannot have.
    """
    kinds = {**get_type_hints(TextSettings), **OPENING}
    values = {}
    for one in texts:
        name, equals, value = one.partition("=")
        if not equals or name not in kinds:
            raise UsageError(f"a text setting is NAME=VALUE with one of the names {', '.join(kinds)}, not {one!r}")
        values[name] = _parse(name, value, kinds[name])
    return values


def _parse(name: str, value: str, kind: Any) -> Any:
    if kind is str:
        return value
    if kind == tuple[str, ...]:
        return tuple(value.split(","))
    if kind is bool:
        if value.lower() not in _YES | _NO:
            raise UsageError(f"{name} is yes or no, not {value!r}")
        return value.lower() in _YES
    if value.lower() == "none" and NoneType in get_args(kind):
        return None
    if str in get_args(kind):
        return value
    if not re.fullmatch("[0-9]{1,9}", value):
        raise UsageError(f"{name} is a number, not {value!r}")
    return int(value)
