"""Learned sparse retrieval: indexes of quantised weights, searched by PISA."""

from ance_ir.pipelines.sparse.cache import dataset_sparse
from ance_ir.pipelines.sparse.index import SparseIndex
from ance_ir.pipelines.sparse.retriever import SparseRetriever

__all__ = ["SparseIndex", "SparseRetriever", "dataset_sparse"]
