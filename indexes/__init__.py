"""Passages, vectors on disk, search, and the dense index over them."""

from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.passages import Chunks, FirstP, MaxP, SlidingWindow, parse_passages
from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.indexes.store.additions import add_documents
from ance_ir.indexes.store.indexing import index_corpus, index_documents
from ance_ir.moved import moved

__all__ = [
    "AnceIndex",
    "Chunks",
    "DenseRetriever",
    "DenseScorer",
    "FirstP",
    "MaxP",
    "SlidingWindow",
    "add_documents",
    "index_corpus",
    "index_documents",
    "parse_passages",
]

__getattr__ = moved(__name__, dict.fromkeys(("AnnMiner", "Filters"), "ance_ir.indexes.mining"))
