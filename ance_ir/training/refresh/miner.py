"""What mines negatives, as training sees it; it knows no index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ance_ir.training.refresh.mined import MinedNegatives

Model_contra = TypeVar("Model_contra", contravariant=True)


class Miner(Protocol[Model_contra]):
    """Mines negatives with a model; ``ance_ir.indexes.AnnMiner`` does it with an index of the whole corpus.

    Attributes:
        settings: what decides what is mined; part of the run's manifest.
        evaluates: whether its report holds measures, so that mining is of use even where no mined negatives are drawn.
    """

    settings: Mapping[str, Any]
    evaluates: bool

    def mine(self, model: Model_contra, folder: Path, step: int, previous: MinedNegatives | None) -> None:
        """Mine, and publish in a folder; nothing where that was done already.

        Args:
            model: as it is after ``step`` steps.
            folder: of this refresh alone.
            step: how many steps were done.
            previous: what was mined before.
        """
        ...

    def help(self, model: Model_contra, folder: Path) -> None:
        """Do what can be done for the process that mines into a folder, and return."""
        ...

    def measure(self, model: Model_contra, folder: Path, *, leads: bool) -> Mapping[str, float]:
        """Evaluate a model without mining; may only be called if ``evaluates``.

        Args:
            model: as it is.
            folder: of this evaluation alone.
            leads: whether this process measures; others do what can be done for it, and return.

        Returns:
            The measures; for a process that does not lead, nothing.
        """
        ...
