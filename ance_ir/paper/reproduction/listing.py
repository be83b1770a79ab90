"""The list of what can be reproduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ance_ir.eval.published import published_figures
from ance_ir.paper.reproduction.catalogue import Figure, Reproduction
from ance_ir.paper.reproduction.comparison import decimals
from ance_ir.paper.reproduction.planned import takes

PAPER = "xiong-2021"
"""The publication of which it is said what cannot be reproduced."""


def listing(reproductions: Sequence[Reproduction]) -> Iterator[str]:
    """Lines for people: what each takes and what it is compared with, then what there is no way to."""
    for one in reproductions:
        yield f"{one.name}: {one.describes}"
        yield f"  {one.model or 'BM25'}; {takes(one)}"
        for figure in one.figures:
            yield f"    {one.name}/{figure.name}: {figure.system} on {figure.dataset}"
            yield f"      {_published(figure)}"
        yield ""
    if left := left_out(reproductions):
        yield f"Of the paper's figures without a released checkpoint: {'; '.join(left)}. `ance-ir train --recipe` trains such models."


def left_out(reproductions: Sequence[Reproduction]) -> list[str]:
    """Figures of the paper that no reproduction compares with."""
    covered = {
        (known.dataset, known.system)
        for one in reproductions
        for figure in one.figures
        for expected, known in figure.expected()
        if expected.publication == PAPER
    }
    missing: dict[str, list[str]] = {}
    for figure in published_figures():
        if figure.publication == PAPER and (figure.dataset, figure.system) not in covered:
            missing.setdefault(figure.dataset, []).append(figure.system)
    return [f"{dataset}: {', '.join(systems)}" for dataset, systems in missing.items()]


def _published(figure: Figure) -> str:
    parts = []
    for expected, known in figure.expected():
        values = ", ".join(f"{measure} {decimals(value)}" for measure, value in known.values.items())
        parts.append(f"{known.source}: {values}, within {decimals(expected.tolerance)}")
    return "; ".join(parts)
