"""Passages, vectors on disk, search, and the dense index over them."""

from ance_ir.indexes.additions import add_documents
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.corpus import index_corpus, index_documents
from ance_ir.indexes.filters import Filters
from ance_ir.indexes.mining import AnnMiner
from ance_ir.indexes.passages import FirstP, MaxP, SlidingWindow, parse_passages
from ance_ir.indexes.retriever import DenseRetriever, DenseScorer

__all__ = [
    "AnceIndex",
    "AnnMiner",
    "DenseRetriever",
    "DenseScorer",
    "Filters",
    "FirstP",
    "MaxP",
    "SlidingWindow",
    "add_documents",
    "index_corpus",
    "index_documents",
    "parse_passages",
]
