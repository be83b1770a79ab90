"""Systems over several collections: what serves only one of them is refused before any work."""

from __future__ import annotations

from pathlib import Path

from ance_ir.errors import UsageError
from ance_ir.indexes import AnceIndex
from ance_ir.pipelines.systems.folders import Kind, kind_of
from ance_ir.pipelines.systems.options import pointing
from ance_ir.pipelines.systems.tree import Stage, System, stages_of


def check_serves_several(system: System) -> None:
    """Refuse a system with an index in it, which holds the documents of one collection.

    Raises:
        PointedError: says what to write in its place.
        UsageError: a folder is no stage.
    """
    for stage in stages_of(system.tree):
        if stage.path is None:
            continue
        with pointing(system.text, stage.place):
            kind = kind_of(stage.path)
            if kind == "server":
                raise UsageError(f"{stage.word} serves the documents of one collection; evaluate it on each collection apart")
            if kind in ("dense index", "BM25 index"):
                raise UsageError(
                    f"{stage.word} is an index of one collection; write {_in_place_of(stage, stage.path, kind)}, "
                    "which makes and keeps an index of each"
                )


def _in_place_of(stage: Stage, path: Path, kind: Kind) -> str:
    """The text of a stage that does the same over any collection."""
    word, options = "bm25", {}
    if kind == "dense index":
        made = AnceIndex(path).manifest["encoding"] or {}
        word, options = "ance", {"model": made.get("model") or "MODEL", "passages": made.get("passages")}
    options |= {option.name: option.value for option in stage.options}
    shown = "; ".join(f"{name}={value}" for name, value in options.items() if value)
    return f"{word}[{shown}]" if shown else word
