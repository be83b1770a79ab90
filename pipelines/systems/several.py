"""Systems over several collections: what serves only one of them is refused before any work."""

from __future__ import annotations

from ance_ir.errors import UsageError
from ance_ir.pipelines.systems.folders import kind_of
from ance_ir.pipelines.systems.options import pointing
from ance_ir.pipelines.systems.tree import System, stages_of


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
            kind, _ = kind_of(stage.path)
            instead = kind.instead(stage, stage.path)
            if instead is not None:
                raise UsageError(f"{stage.word} {instead}")
