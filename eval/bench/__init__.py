"""Benchmarks of search, encoding and pipelines, in rounds in which the contenders take turns."""

from ance_ir.eval.bench.encode import bench_encode
from ance_ir.eval.bench.pipeline import bench_pipeline
from ance_ir.eval.bench.search import bench_search, left_out

__all__ = ["bench_encode", "bench_pipeline", "bench_search", "left_out"]
