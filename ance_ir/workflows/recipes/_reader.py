"""Reads recipes from TOML files.

::

    describes = "…"                                    # a line, for --help
    source = "…"                                       # where its values are from, which their own sources are parts of

    [requires]                                         # options that have to be given, and why no value stands here
    model = "…"

    [options]                                          # options of ance-ir train, without their hyphens
    learning-rate = { value = 1e-6, source = "…" }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from ance_ir.errors import UsageError
from ance_ir.registries import RECIPES
from ance_ir.typed_json import read_typed_toml


class _Option(TypedDict):
    value: Any
    source: str


class _File(TypedDict):
    describes: str
    source: str
    requires: NotRequired[dict[str, str]]
    options: dict[str, _Option]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a published model was trained.

    Attributes:
        name: of its file.
        describes: what it trains, in a line.
        source: where its values are from.
        options: values of options of ``ance-ir train``, by the options' names.
        sources: of each of them where it is from, within ``source``.
        requires: names of options that it has no value for and that have to be given, and why.
    """

    name: str
    describes: str
    source: str
    options: Mapping[str, Any]
    sources: Mapping[str, str]
    requires: Mapping[str, str]


def read_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        UsageError: there is none of this name, or its file is none of a recipe.
    """
    path = RECIPES.find(name)
    content: dict[str, Any] = read_typed_toml(path, _File, error=UsageError)
    options: dict[str, _Option] = content["options"]
    return Recipe(
        name=name,
        describes=content["describes"],
        source=content["source"],
        options={option: given["value"] for option, given in options.items()},
        sources={option: given["source"] for option, given in options.items()},
        requires=content.get("requires", {}),
    )
