"""Mining negatives with an index: the only part of the indexes that imports training."""

from ance_ir.indexes.mining.filters import Filters
from ance_ir.indexes.mining.miner import AnnMiner

__all__ = ["AnnMiner", "Filters"]
