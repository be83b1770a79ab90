"""Passages, vectors on disk, search, and the dense index over them."""

from ance_ir.indexes.ance_index import AnceIndex, index_documents
from ance_ir.indexes.negatives import AnnNegatives
from ance_ir.indexes.passages import FirstP, MaxP, SlidingWindow, parse_passages
from ance_ir.indexes.retriever import DenseRetriever, DenseScorer

__all__ = [
    "AnceIndex",
    "AnnNegatives",
    "DenseRetriever",
    "DenseScorer",
    "FirstP",
    "MaxP",
    "SlidingWindow",
    "index_documents",
    "parse_passages",
]
