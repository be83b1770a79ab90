"""``ance-ir bench adaptive``, ``graph`` and ``sparse``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ance_ir.cli._options import only

if TYPE_CHECKING:
    import pandas as pd

_ADAPTIVE = ("split", "neighbours", "length", "layers", "rounds", "device")


def adaptive(*, datasets: tuple[str, ...], model: str, precisions: tuple[Any, ...], **options: Any) -> tuple[str, pd.DataFrame]:
    """Effectiveness on a collection."""
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_adaptive

    opened, precision = load_dataset(only(datasets, "adaptive")), precisions[0] if precisions else None
    found = bench_adaptive(opened, model, precision=precision, verbose=True, **{name: options[name] for name in _ADAPTIVE})
    about = "{neighbours} neighbours, {length} tokens, medians of {rounds} rounds".format(**options)
    return f"{opened.name}, {model}, {about}", found


def graph(*, model: str, vectors: int, queries: int, neighbours: int, backend: str, rounds: int, **_: Any) -> tuple[str, pd.DataFrame]:
    """A graph of many vectors."""
    from ance_ir.eval.bench import bench_corpus_graph

    options: Any = {"vectors": vectors, "queries": queries, "neighbours": neighbours, "backend": backend, "rounds": rounds}
    found = bench_corpus_graph(model, verbose=True, **options)
    return f"{vectors:,} vectors, {neighbours} neighbours, {queries} queries, medians of {rounds} rounds", found


def sparse(*, datasets: tuple[str, ...], model: str, split: str | None, device: str | None, **_: Any) -> tuple[str, pd.DataFrame]:
    """What rounding weights costs."""
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_sparse

    opened = load_dataset(only(datasets, "sparse"))
    found = bench_sparse(opened, model, split=split, device=device, verbose=True)
    return f"{opened.name}, {model}, weights as they are and rounded", found
