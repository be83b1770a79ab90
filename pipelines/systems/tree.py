"""The syntax tree of a system. Each node has its place in the text, which does not count for equality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

MIX = "mix"
"""The name of the function that makes a mixture."""


@dataclass(frozen=True)
class Option:
    """``name=value`` in brackets."""

    name: str
    value: str
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Stage:
    """A word or a path, and its options.

    Attributes:
        word: as it was written, without quotes.
        path: the path that the word is, or ``None``.
        options: in their order.
        place: where it begins.
        written: what the user wrote: the name of the system that brought the stage in, or the word.
    """

    word: str
    path: Path | None = None
    options: tuple[Option, ...] = ()
    place: int = field(default=0, compare=False)
    written: str = field(default="", compare=False)


@dataclass(frozen=True)
class Call:
    """``function(argument, …)``."""

    function: str
    arguments: tuple[Node, ...]
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Weighted:
    """``weight * system``."""

    weight: float
    system: Node
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Cut:
    """``system % depth``."""

    system: Node
    depth: int
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Sum:
    """``term + term …``, two or more."""

    terms: tuple[Node, ...]
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Chain:
    """``stage >> stage …``, two or more."""

    stages: tuple[Node, ...]
    place: int = field(default=0, compare=False)


Node = Stage | Call | Weighted | Cut | Sum | Chain


@dataclass(frozen=True)
class System:
    """A whole text.

    Attributes:
        name: of the system; by default the expression.
        tree: of the expression.
        text: the whole text, which the places refer to.
    """

    name: str
    tree: Node
    text: str


@dataclass(frozen=True)
class Source:
    """A part of a mixture.

    Attributes:
        weight: its share of the mixture.
        tree: its system.
        text: that of its system.
    """

    weight: float
    tree: Node
    text: str


@dataclass(frozen=True)
class Mixture:
    """A mixture of sources of negatives.

    Attributes:
        sources: one or more.
        bare: whether they were joined by ``+`` and not by ``mix(…)``.
    """

    sources: tuple[Source, ...]
    bare: bool

    def __str__(self) -> str:
        """Its text, with ``mix(…)`` around several sources."""
        texts = [f"{'' if source.weight == 1 else f'{source.weight:g}*'}{source.text}" for source in self.sources]
        return texts[0] if len(texts) == 1 else f"{MIX}({', '.join(texts)})"


def map_stages(node: Node, change: Callable[[Stage], Stage]) -> Node:
    """The same tree over other stages."""
    match node:
        case Stage():
            return change(node)
        case Call():
            return replace(node, arguments=tuple(map_stages(part, change) for part in node.arguments))
        case Sum():
            return replace(node, terms=tuple(map_stages(part, change) for part in node.terms))
        case Chain():
            return replace(node, stages=tuple(map_stages(part, change) for part in node.stages))
        case Weighted() | Cut():
            return replace(node, system=map_stages(node.system, change))


def stages_of(node: Node) -> list[Stage]:
    """The stages of a tree, in their order."""
    found: list[Stage] = []

    def collect(stage: Stage) -> Stage:
        found.append(stage)
        return stage

    map_stages(node, collect)
    return found


def shown(node: Node) -> str:
    """The text of a tree, options included; paths stand as they were written, without quotes."""
    match node:
        case Stage():
            options = "; ".join(f"{option.name}={option.value}" for option in node.options)
            return f"{node.word}[{options}]" if options else node.word
        case Call():
            return f"{node.function}({', '.join(map(shown, node.arguments))})"
        case Sum():
            return " + ".join(map(_bracketed, node.terms))
        case Chain():
            return " >> ".join(map(shown, node.stages))
        case Weighted():
            return f"{node.weight:g} * {_bracketed(node.system)}"
        case Cut():
            return f"{_bracketed(node.system)} % {node.depth}"


def _bracketed(node: Node) -> str:
    """The text of a part that binds tighter than what it stands in."""
    return f"({shown(node)})" if isinstance(node, Sum | Chain) else shown(node)
