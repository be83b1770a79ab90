"""What serving costs, next to the same systems called in Python."""

from ance_ir.serve.bench.bench import bench_serve

__all__ = ["bench_serve"]
