"""PyTerrier transformers: BM25, dense retrieval, rerankers, fusion, feedback, readers, and systems put together from their names."""

from ance_ir.indexes.retriever import DenseRetriever, DenseScorer
from ance_ir.pipelines import systems
from ance_ir.pipelines.adaptive import GAR, LADR, AdaptiveLADR
from ance_ir.pipelines.bm25 import RM3, BM25Index, BM25Retriever, dataset_bm25
from ance_ir.pipelines.excluded import Excluded, WithoutExcluded
from ance_ir.pipelines.feedback import AncePRF, AveragePRF, RocchioPRF
from ance_ir.pipelines.fingerprint import cache_path
from ance_ir.pipelines.fusion import ReciprocalRankFusion, WeightedSum
from ance_ir.pipelines.itself import WithoutItself
from ance_ir.pipelines.late_interaction import LateInteractionReranker
from ance_ir.pipelines.nearest_name import NearestName
from ance_ir.pipelines.rag import RagReader
from ance_ir.pipelines.reader import AnswerReader, BestAnswer
from ance_ir.pipelines.remote import Remote, RemoteScorer
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.sparse import SparseIndex, SparseRetriever, dataset_sparse
from ance_ir.pipelines.systems import Systems

__all__ = [
    "AdaptiveLADR",
    "AncePRF",
    "AnswerReader",
    "AveragePRF",
    "BM25Index",
    "BM25Retriever",
    "BertReranker",
    "BestAnswer",
    "DenseRetriever",
    "DenseScorer",
    "Excluded",
    "GAR",
    "LADR",
    "LateInteractionReranker",
    "NearestName",
    "RM3",
    "RagReader",
    "ReciprocalRankFusion",
    "Remote",
    "RemoteScorer",
    "RocchioPRF",
    "SparseIndex",
    "SparseRetriever",
    "Systems",
    "WeightedSum",
    "WithoutExcluded",
    "WithoutItself",
    "cache_path",
    "dataset_bm25",
    "dataset_sparse",
    "systems",
]
