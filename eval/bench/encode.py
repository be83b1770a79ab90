"""Encoding real text compared with the alternatives, at equal weights and lengths."""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.eval.bench.contenders import Contender, names, open_contender, rival
from ance_ir.eval.bench.rounds import OURS, alternate, medians, ratio
from ance_ir.eval.bench.work import products
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.precision import Precision
from ance_ir.models.dense.size import Size
from ance_ir.processes import peak_memory


def bench_encode(
    datasets: Sequence[Dataset],
    model: str,
    *,
    documents: int = 1000,
    length: int = 128,
    rounds: int = 3,
    precisions: Sequence[Precision] | None = None,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Encode the first documents of each dataset: ours, sentence-transformers with torch, OpenVINO and ONNX Runtime, and a plain loop.

    Args:
        datasets: whose texts.
        model: the encoder.
        documents: of each dataset.
        length: tokens that a text is cut to.
        rounds: that count; the contenders take turns in each.
        precisions: in addition to float32; by default all available.
        device: where to compute.
        verbose: show progress.

    Returns:
        A row for each dataset and contender: ``texts/s``, ``tokens/s`` and ``padded ÷ real`` tokens; ``ours ×``, how many times as long as
        ours at the same precision it takes; ``of product``, the share of the float32 matrix products that the machine does in the same
        time, measured in the same rounds; ``peak MiB`` of a process that does nothing else; and ``cosine`` with ours in float32, least
        and mean.

    Raises:
        MissingDependencyError: sentence-transformers is not installed, or what a precision needs.
        UsageError: the model pairs a title with a text, which the others do not know.
    """
    encoder = _of_passages(DenseEncoder.from_pretrained(model, device=device, passage_length=length).float())
    place = str(encoder.device)
    offered: Sequence[Precision] = ("bfloat16", "int8")
    chosen = [one for one in offered if (one in precisions if precisions is not None else _can(encoder, one))]
    contending = names(["float32", *chosen], place)
    rows = []
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(datasets), desc="encode", unit=" datasets", disable=not verbose) as bar:
        checkpoint = Path(folder) / "model"
        encoder.save(checkpoint)
        for dataset in datasets:
            texts = _texts(encoder, itertools.islice(dataset.usable_documents(), documents))
            contenders = dict(open_contender(name, checkpoint, length, place, texts) for name in contending)
            lengths = [len(ids) for ids in encoder.tokenizer.passages(texts)]
            measured = _measure(contenders, texts, lengths, rounds, Size.of(encoder.passage_tower).operations(lengths), place)
            peaks = {name: _peak(name, checkpoint, length, place, texts) for name in contenders}
            rows += [{"dataset": dataset.name, "contender": name, **row, "peak MiB": peaks[name]} for name, row in measured.items()]
            bar.update()
    return pd.DataFrame(rows)


def _of_passages(encoder: DenseEncoder) -> DenseEncoder:
    """The encoder with its passage tower alone, which encodes documents, so that all contenders compute that one."""
    if encoder.shared:
        return encoder
    return DenseEncoder(encoder.passage_tower, None, encoder.tokenizer.tokenizer, encoder.settings, name=encoder.name)


def _texts(encoder: DenseEncoder, documents: Iterable[Mapping[str, Any]]) -> list[str]:
    texts = []
    for document in documents:
        text = encoder.settings.join(document)
        if isinstance(text, tuple):
            raise UsageError(f"{encoder.name} reads title and text as a pair, which not all contenders do; give a model that joins them")
        texts.append(text)
    return texts


def _measure(
    contenders: Mapping[str, Contender], texts: Sequence[str], lengths: Sequence[int], rounds: int, work: float, device: str
) -> dict[str, dict[str, float]]:
    vectors: dict[str, np.ndarray] = {}
    padded: dict[str, int] = {}
    for name, contender in contenders.items():
        with contender.counted() as sizes:
            vectors[name] = _unit(contender.encode(texts))
        padded[name] = sum(sizes)
    one_product, ways = products(device)
    runs: dict[str, Callable[[], Any]] = {name: lambda one=one: one.encode(texts) for name, one in contenders.items()}  # type: ignore[misc]
    seconds = alternate({**runs, **ways}, rounds)
    found = medians(seconds)
    fastest = min(statistics.median(seconds[way]) for way in ways)
    rows = {}
    for name in contenders:
        cosines = (vectors[name] * vectors[OURS]).sum(1)
        rows[name] = {
            "texts/s": len(texts) / found[name],
            "tokens/s": sum(lengths) / found[name],
            "ours ×": ratio(seconds, name, rival(name)),
            "padded ÷ real": padded[name] / sum(lengths),
            "of product": (work / found[name]) / (one_product / fastest),
            "least cosine": float(cosines.min()),
            "mean cosine": float(cosines.mean()),
        }
    return rows


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _can(encoder: DenseEncoder, precision: Precision) -> bool:
    """Whether a precision is available here."""
    if precision != "int8":
        return True
    from importlib.util import find_spec

    return encoder.device.type == "cpu" and find_spec("openvino") is not None


def _peak(name: str, folder: Path, length: int, device: str, texts: Sequence[str]) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_encode_alone, name, folder, length, device, texts, torch.get_num_threads()).result()


def _encode_alone(name: str, folder: Path, length: int, device: str, texts: Sequence[str], threads: int) -> float:
    """Encode once in a separate process; the peak memory, MiB."""
    torch.set_num_threads(threads)
    name, _, batch = name.partition(", batch ")
    _, contender = open_contender(name, folder, length, device, texts, int(batch) if batch else None)
    contender.encode(texts)
    return peak_memory()
