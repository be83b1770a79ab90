"""BM25 by one of several engines: an index on disk, its retriever, and the settings of RM3."""

from ance_ir.pipelines.bm25.cache import dataset_bm25
from ance_ir.pipelines.bm25.engine import RM3
from ance_ir.pipelines.bm25.index import BM25Index
from ance_ir.pipelines.bm25.retriever import BM25Retriever

__all__ = ["BM25Index", "BM25Retriever", "RM3", "dataset_bm25"]
