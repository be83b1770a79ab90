"""The list of what can be reproduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ance_ir.eval.published import published_figures
from ance_ir.paper.reproduction.catalogue import Figure, Reproduction
from ance_ir.paper.reproduction.comparison import decimals
from ance_ir.paper.reproduction.planned import takes

PAPERS = ("xiong-2021", "karpukhin-2020")
"""The publications of which it is said what cannot be reproduced."""


def listing(reproductions: Sequence[Reproduction]) -> Iterator[str]:
    """Lines for people: what each takes and what it is compared with, then what there is no way to."""
    for one in reproductions:
        yield f"{one.name}: {one.describes}"
        yield f"  {one.model or 'BM25'}; {takes(one)}"
        for figure in one.figures:
            beside = f" beside {figure.bm25}" if figure.bm25 else ""
            yield f"    {one.name}/{figure.name}: {figure.system}{beside} on {figure.dataset}"
            yield f"      {_published(figure)}"
        yield ""
    if left := left_out(reproductions):
        yield f"Of the papers' figures without a released checkpoint: {'; '.join(left)}. `ance-ir train --recipe` trains such models."


def left_out(reproductions: Sequence[Reproduction]) -> list[str]:
    """Figures of the papers that no reproduction compares with."""
    covered = {
        (known.publication, known.dataset, known.system)
        for one in reproductions
        for figure in one.figures
        for _, known in figure.expected()
    }
    missing: dict[str, list[str]] = {}
    for figure in published_figures():
        if figure.publication in PAPERS and (figure.publication, figure.dataset, figure.system) not in covered:
            missing.setdefault(figure.dataset, []).append(figure.system)
    return [f"{dataset}: {', '.join(systems)}" for dataset, systems in missing.items()]


def _published(figure: Figure) -> str:
    parts = []
    for expected, known in figure.expected():
        values = ", ".join(f"{measure} {decimals(value)}" for measure, value in known.values.items())
        parts.append(f"{known.source}: {values}, within {decimals(expected.tolerance)}")
    return "; ".join(parts)
