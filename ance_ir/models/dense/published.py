"""Published dense encoders by name: what their files do not say of themselves, and what they are.

Each family is a TOML file of ``ance_ir/models/dense/families``::

    describes = "E5 (Wang et al., 2022)"       # a line, for lists
    source = "…"                               # where all of this is from
    pooling = "mean"                           # of all models of the file, unless one says it itself; so the other keys
    text = { query_prefix = "query: " }

    [models."intfloat/e5-base-v2"]             # a hub name
    dimension = 768                            # the keys are the attributes of ``Published``; what no source states is left out
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict

from ance_ir.errors import ModelError
from ance_ir.models.dense.tower import Similarity
from ance_ir.models.loading.source import bare_name
from ance_ir.registries import MODEL_FAMILIES
from ance_ir.typed_json import read_typed_toml, type_fault


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A published checkpoint.

    Attributes:
        family: the name of its file.
        describes: the family, in a line.
        source: where the facts are from.
        text: its ``TextSettings``, where they differ from those of its layout.
        instruction: the form in which it reads a task before a query, with ``{instruction}`` in it.
        tower: which of two towers that are published apart it is.
        partner: the name of the other one.
        passages: how its documents were cut, as ``ance-ir index --passages`` takes it.
        bidirectional: of a decoder whose tokens attend to those after them too, though its files may not say it.
        pooling: of a bare backbone.
        similarity: of a bare backbone, or of a sentence-transformers folder that does not say it.
        parameters: their number.
        dimension: of its vectors.
        licence: its SPDX identifier, or a name.
    """

    family: str = ""
    describes: str = ""
    source: str = ""
    text: dict[str, Any] = dataclasses.field(default_factory=dict)
    instruction: str | None = None
    tower: Literal["query", "passage"] | None = None
    partner: str | None = None
    passages: str = "firstp"
    bidirectional: bool = False
    pooling: str | None = None
    similarity: Similarity | None = None
    parameters: int | None = None
    dimension: int | None = None
    licence: str | None = None


class _File(TypedDict):
    describes: str
    source: str
    models: dict[str, dict[str, Any]]


def read_family(path: Path) -> dict[str, Published]:
    """The models of a family's file, by name.

    Raises:
        ModelError: the file is none of a family.
    """
    content: dict[str, Any] = read_typed_toml(path, _File, error=ModelError)
    shared = {"family": path.stem, **content}
    models = shared.pop("models")
    merged = {name: {**shared, **own, "text": {**shared.get("text", {}), **own.get("text", {})}} for name, own in models.items()}
    known = {field.name for field in dataclasses.fields(Published)}
    for name, one in merged.items():
        unknown = sorted(one.keys() - known)
        if unknown or (fault := type_fault(one, Published)):
            raise ModelError(f"{path}: {name}: {f'unknown keys {unknown}' if unknown else fault}")
    return {name: Published(**{**one, "text": _settings(one["text"])}) for name, one in merged.items()}


def _settings(text: dict[str, Any]) -> dict[str, Any]:
    """Text settings as ``TextSettings`` has them: TOML knows no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in text.items()}


@cache
def published_models() -> dict[str, Published]:
    """All of them, by family and name; whole names only. What is not here comes from the files, from the layout's usual settings, or from
    the caller.
    """
    return {name: one for path in MODEL_FAMILIES.values() for name, one in read_family(path).items()}


def find_published(name: str) -> Published:
    """What is known of a name, ``hf:`` before it or not, @REVISION after it or not; nothing, and no family, of an unknown one."""
    return published_models().get(bare_name(name), Published())


def pair_of(names: list[str]) -> list[str]:
    """The names of both towers, that of queries first, where one is known to be half of a pair; else the names as they are."""
    first = find_published(names[0])
    if first.partner is None or [bare_name(name) for name in names[1:]] not in ([], [first.partner]):
        return names
    pair = [names[0], *(names[1:] or [first.partner])]
    return pair if first.tower == "query" else pair[::-1]
