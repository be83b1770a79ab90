"""Benchmarks: lists of collections, each a TOML file here. ``_reader`` says what a file holds."""

from ance_ir.eval.benchmarks._reader import Benchmark, Collection, benchmark_of, find_benchmark

__all__ = ["Benchmark", "Collection", "benchmark_of", "find_benchmark"]
