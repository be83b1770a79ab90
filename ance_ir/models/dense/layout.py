"""A layout of dense checkpoints: how its files are recognised and opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ance_ir import registries
from ance_ir.errors import ModelError
from ance_ir.models.dense.tower import Similarity, Tower
from ance_ir.models.loading.checkpoint import Origin
from ance_ir.models.loading.foreign import no_checkpoint, refuse_half
from ance_ir.models.loading.provenance import Provenance
from ance_ir.models.loading.weight_files import read_weights
from ance_ir.models.text.prompts import NO_PROMPTS, Prompts
from ance_ir.models.text.settings import TextSettings
from ance_ir.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Files:
    """A checkpoint's files, of a layout that is not known yet.

    Attributes:
        name: what the caller named.
        paths: its folder or file, or the folders of two towers that are published apart.
    """

    name: str
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The folder or file, the first one of two."""
        return self.paths[0]

    def has(self, file: str) -> bool:
        """Whether this is one folder that has the file."""
        return len(self.paths) == 1 and (self.path / file).exists()

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights of the folder by their names, read once."""
        refuse_half(self.path)
        return read_weights(self.path)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the caller chooses where the files do not say it.

    Attributes:
        fresh_head: the name of a new head for a bare backbone.
        seed: of its weights.
        pooling: one of ``POOLINGS``, or several.
        similarity: ``"cosine"`` or ``"dot"``.
        normalize: whether vectors are scaled to length 1.
        query_prompt: the name of the prompt for queries.
        passage_prompt: the name of the prompt for passages.
        instruction: for queries, instead of a prompt.
        merge_adapter: whether an adapter is added to the weights; ``None``: no.
    """

    fresh_head: str | None = None
    seed: int = 42
    pooling: str | None = None
    similarity: Similarity | None = None
    normalize: bool | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    instruction: str | None = None
    merge_adapter: bool | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseCheckpoint:
    """A checkpoint, read.

    Attributes:
        layout: its name, as text.
        query: the query tower.
        passage: the passage tower, ``None`` where it is the query tower.
        tokenizer: of both.
        settings: the text settings.
        settings_from: where they come from, as text.
        prompts: what can be chosen by name.
        unused: names of weights that were in the files and have no place in the model.
        assumed: choices that the files do not name, as text.
        fresh_head: whether its head is a new one.
        provenance: what its card is filled from; added to what a layout reads.
    """

    layout: str
    query: Tower
    passage: Tower | None = None
    tokenizer: PreTrainedTokenizerBase
    settings: TextSettings
    settings_from: str
    prompts: Prompts = NO_PROMPTS
    unused: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    fresh_head: bool = False
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def origin(self) -> Origin:
        """What the model says of where it comes from."""
        return Origin(layout=self.layout, settings=self.settings_from, unused=self.unused, provenance=self.provenance)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A layout.

    Attributes:
        sign: what files are recognised by, for lists.
        order: layouts are asked in the order of these numbers, and the first one that recognises the files opens them: those that say
            what they are come before those that are recognised by their weights' names, the bare backbone last.
        recognises: whether files are of this layout.
        open: reads them; raises ``ModelError`` where they are damaged.
    """

    sign: str
    order: int
    recognises: Callable[[Files], bool]
    open: Callable[[Files, Choices], DenseCheckpoint]


LAYOUTS: Registry[Layout] = registries.CHECKPOINT_LAYOUTS


def find_layout(files: Files) -> Layout:
    """The layout of files.

    Raises:
        ModelError: none recognises them.
    """
    for layout in sorted(LAYOUTS.values(), key=lambda layout: layout.order):
        if layout.recognises(files):
            return layout
    raise no_checkpoint(files.path)


def check_fit(towers: Sequence[Tower], tokenizers: Sequence[PreTrainedTokenizerBase], where: Path | str) -> None:
    """Refuse towers whose vectors cannot be compared, or that do not share a tokeniser.

    Raises:
        ModelError: says which.
    """
    if len({tower.dimension for tower in towers}) > 1:
        raise ModelError(f"{where}: vectors of {' and '.join(str(tower.dimension) for tower in towers)} dimensions cannot be compared")
    if any(_reading(other) != _reading(tokenizers[0]) for other in tokenizers[1:]):
        raise ModelError(f"{where}: the two towers have different tokenisers; two with the same one are understood")


def longest(tokenizer: PreTrainedTokenizerBase, *towers: Tower) -> int:
    """The most tokens that a tokeniser and towers take."""
    return min(tokenizer.model_max_length, *(tower.longest for tower in towers))


def _reading(tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, int], list[int]]:
    """What a tokeniser is told from another by: its tokens, and what it puts around a text."""
    return tokenizer.get_vocab(), tokenizer("a")["input_ids"]
