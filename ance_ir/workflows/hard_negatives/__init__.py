"""Hard negatives as a product: mined with any system, for training elsewhere."""

from ance_ir.workflows.hard_negatives.mine import MinedRecords, mine_negatives
from ance_ir.workflows.hard_negatives.report import MiningReport, Suspect
from ance_ir.workflows.hard_negatives.settings import HardNegatives
from ance_ir.workflows.hard_negatives.writing import write_negatives

__all__ = ["HardNegatives", "MinedRecords", "MiningReport", "Suspect", "mine_negatives", "write_negatives"]
