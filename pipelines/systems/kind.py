"""The protocol of kinds of stages: a kind says which words and folders are its stages, checks them, and opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyterrier as pt

from ance_ir import registries
from ance_ir.indexes.info import IndexInfo
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.tree import Stage
from ance_ir.registry import Registry

Collection = Literal["passages", "documents", "open QA"]


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word that names a stage over the dataset.

    Attributes:
        what: a description of one line.
        checkpoints: the published checkpoint that it uses unless ``model=`` names another, for each kind of collection; none for a stage
            without a model.
    """

    what: str
    checkpoints: Mapping[Collection, str] = field(default_factory=dict)


Opener = Callable[[], pt.Transformer]
"""Opens what was checked: a retriever if it is the first of its system, otherwise a scorer of the documents that were found.

It raises a ModelError where a checkpoint is not available, or does not load.
"""


class Planning(Protocol):
    """Checks all of a stage that can be known without opening a model, building an index or fetching anything."""

    def __call__(self, stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
        """What opens the stage.

        Args:
            stage: the stage.
            context: what it is opened with.
            text: the whole system, for errors.
            retrieves: whether the system begins with it.

        Raises:
            UsageError: it cannot stand there, or has other options, or one cannot have its value.
        """


class KeptIndex(Protocol):
    """An index of any kind, on disk."""

    def info(self) -> IndexInfo:
        """What it holds."""

    def retriever(self, *args: Any, **kwargs: Any) -> pt.Transformer:
        """Searches it; of a dense index, with a model."""


def _holds_none(path: Path) -> str | None:
    return None


def _serves_all(stage: Stage, path: Path) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of stage.

    Attributes:
        plan: checks a stage, and returns what opens it.
        words: the words that name its stages.
        index: opens an index of this kind, of its path, ``device`` and ``model``; ``None`` where there is none.
        holds: what a path of this kind holds, ``"dense index"``; ``None`` for any other. No path is of two kinds.
        instead: what to write in place of a path that serves one collection only, as the end of a sentence that begins with the stage's
            word; ``None`` where it serves any.
    """

    plan: Planning
    words: Mapping[str, Word] = field(default_factory=dict)
    index: Callable[..., KeptIndex] | None = None
    holds: Callable[[Path], str | None] = _holds_none
    instead: Callable[[Stage, Path], str | None] = _serves_all


KINDS: Registry[Kind] = registries.STAGES
"""All kinds, by the names of their files."""
