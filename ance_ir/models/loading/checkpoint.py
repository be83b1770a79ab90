"""Checkpoints that are one Hugging Face folder: what rerankers and readers have in common when they are opened."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import ModelError
from ance_ir.models.loading.family import Family, refuse_other
from ance_ir.models.loading.foreign import contents, no_checkpoint, refuse_partial
from ance_ir.models.loading.provenance import Provenance
from ance_ir.models.loading.source import resolve
from ance_ir.notices import collected

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model comes from.

    Attributes:
        layout: of the checkpoint, as text.
        settings: where the settings come from, as text.
        unused: names of weights in the checkpoint that have no place in the model.
        separated: whether the checkpoint has one tower, which was copied to make two.
        provenance: what its card is filled from.
        options: what the caller of ``from_pretrained`` chose, without which the same model is not opened again.
        adapter: of a new adapter, its settings; empty where there is none.
        over: the name of the model that the new adapter is over.
        base: hashes of its weights, by the folder of their adapter.
        notices: what was warned of while it was opened, for the manifest of a run that trains it.
    """

    layout: str = "none"
    settings: str = "the caller"
    unused: tuple[str, ...] = ()
    separated: bool = False
    provenance: Provenance = field(default_factory=Provenance)
    options: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""
    base: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def changed(self, before: object, after: object) -> Origin:
        """With the names of the settings that the caller changed."""
        old, new = vars(before), vars(after)
        names = ", ".join(sorted(name for name in new if new[name] != old[name]))
        return replace(self, settings=f"{self.settings}; {names} changed by the caller") if names else self


class _Opened(Protocol):
    origin: Origin


P = ParamSpec("P")
M = TypeVar("M", bound=_Opened)


def noting(opens: Callable[P, M]) -> Callable[P, M]:
    """Keep in a model's origin what was warned of while it was opened."""

    @functools.wraps(opens)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> M:
        with collected() as notices:
            model = opens(*args, **kwargs)
        model.origin = replace(model.origin, notices=tuple(notices))
        return model

    return wrapped


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint(Generic[S]):
    """A checkpoint, read.

    Attributes:
        model: with its head.
        tokenizer: its own.
        settings: how it reads text.
        origin: where all this comes from.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: S
    origin: Origin


def find_folder(name: str, family: Family, *, fresh_head: bool, remedy: str = "") -> Path:
    """The folder of a checkpoint.

    Args:
        name: see ``resolve``.
        family: that is expected.
        fresh_head: whether it gets a new head, so that a folder of another family will do.
        remedy: how it gets one, for messages, where it can.

    Raises:
        ModelError: it is nowhere, is no such folder, or half of one.
    """
    folder = resolve(name)
    if folder.is_file():
        raise ModelError(f"{folder} is {contents(folder) or 'a file'}; the folder of a {family} was expected")
    refuse_partial(folder)
    if not fresh_head:
        refuse_other(folder, family, remedy and f"; {remedy}")
    if not (folder / "config.json").exists():
        raise no_checkpoint(folder)
    return folder
