<<<<<<< HEAD
"""PyTerrier transformers: BM25, dense retrieval and scoring, rerankers, fusion, feedback, and systems put together from their names."""

from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.pipelines.bm25 import RM3, BM25Index, BM25Retriever, dataset_bm25
from ance_ir.pipelines.feedback import AncePRF, AveragePRF, RocchioPRF
from ance_ir.pipelines.fusion import ReciprocalRankFusion, WeightedSum
=======
"""PyTerrier transformers: BM25, dense retrieval and scoring, rerankers, readers, and systems put together from their names."""

from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.pipelines.bm25 import BM25Index, BM25Retriever
from ance_ir.pipelines.reader import AnswerReader, BestAnswer
>>>>>>> 0faa650 (Readers in pipelines: an answer for each passage, one for each question)
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.systems import Systems

__all__ = [
<<<<<<< HEAD
    "AncePRF",
    "AveragePRF",
    "BM25Index",
    "BM25Retriever",
    "BertReranker",
    "DenseRetriever",
    "DenseScorer",
    "RM3",
    "ReciprocalRankFusion",
    "RocchioPRF",
    "Systems",
    "WeightedSum",
=======
    "AnswerReader",
    "BM25Index",
    "BM25Retriever",
    "BertReranker",
    "BestAnswer",
    "DenseRetriever",
    "DenseScorer",
    "Systems",
>>>>>>> 0faa650 (Readers in pipelines: an answer for each passage, one for each question)
    "dataset_bm25",
]
