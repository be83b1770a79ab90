"""Benchmarks of search, adaptive and sparse retrieval, encoding, the way to it, pipelines and training, and of a GPU."""

from ance_ir.eval.bench.adaptive import bench_adaptive
from ance_ir.eval.bench.ann import bench_ann
from ance_ir.eval.bench.corpus_graph import bench_corpus_graph
from ance_ir.eval.bench.device_search import bench_device_search
from ance_ir.eval.bench.encode import bench_encode
from ance_ir.eval.bench.gpu import bench_gpu
from ance_ir.eval.bench.ingest import bench_ingest
from ance_ir.eval.bench.pipeline import bench_pipeline
from ance_ir.eval.bench.search import bench_search, left_out
from ance_ir.eval.bench.sparse import bench_sparse
from ance_ir.eval.bench.train import bench_train

__all__ = [
    "bench_adaptive",
    "bench_ann",
    "bench_corpus_graph",
    "bench_device_search",
    "bench_encode",
    "bench_gpu",
    "bench_ingest",
    "bench_pipeline",
    "bench_search",
    "bench_sparse",
    "bench_train",
    "left_out",
]
