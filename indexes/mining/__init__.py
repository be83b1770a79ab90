"""Negatives from an index: the only part of the indexes that knows training."""

from ance_ir.indexes.mining.filters import Filters
from ance_ir.indexes.mining.miner import AnnMiner

__all__ = ["AnnMiner", "Filters"]
