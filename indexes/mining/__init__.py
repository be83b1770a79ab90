"""Mining negatives with an index: the only part of the indexes that imports training."""

from ance_ir.indexes.mining.ann_miner import AnnMiner
from ance_ir.indexes.mining.filters import Filters
from ance_ir.indexes.mining.joined import JoinedMiner

__all__ = ["AnnMiner", "Filters", "JoinedMiner"]
