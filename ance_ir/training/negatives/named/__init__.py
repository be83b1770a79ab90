"""Sources of negatives that have a name, a module each, whose function ``make`` makes one for training queries.

Its other arguments are for sources that draw from mined negatives: how they draw, and what scores are divided by when they draw by score.
Run files and systems are sources as well; ``ance_ir.workflows.negatives`` reads the text of any source.
"""

from __future__ import annotations

from collections.abc import Callable

from ance_ir import registries
from ance_ir.registry import Registry
from ance_ir.training.negatives.source import Draw, NegativeSource
from ance_ir.training.queries import TrainingQueries

__all__ = ["NEGATIVES"]

NEGATIVES: Registry[Callable[[TrainingQueries, Draw, float], NegativeSource]] = registries.NEGATIVES
"""The sources of negatives, by name."""
