"""PyTerrier transformers: BM25, dense retrieval and scoring, rerankers, and systems put together from their names."""

from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.pipelines.bm25 import BM25Index, BM25Retriever
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.systems import Systems, dataset_bm25

__all__ = ["BM25Index", "BM25Retriever", "BertReranker", "DenseRetriever", "DenseScorer", "Systems", "dataset_bm25"]
