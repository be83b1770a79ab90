"""Published figures, reproduced: what is needed is fetched and verified, evaluated, and compared."""

from ance_ir.paper.reproduction.catalogue import Expected, Figure, Reproduction, find_reproductions
from ance_ir.paper.reproduction.comparison import Comparison
from ance_ir.paper.reproduction.listing import listing
from ance_ir.paper.reproduction.run import Outcome, dry_run, reproduce

__all__ = [
    "Comparison",
    "Expected",
    "Figure",
    "Outcome",
    "Reproduction",
    "dry_run",
    "find_reproductions",
    "listing",
    "reproduce",
]
