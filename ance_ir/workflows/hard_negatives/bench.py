"""Mining compared with the miners of sentence-transformers and FlagEmbedding: the same vectors, exact search, and depth."""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ance_ir.datasets import Dataset
from ance_ir.eval.bench.rounds import OURS, alternate, medians, ratio
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.systems.cache import dataset_dense
from ance_ir.processes import peak_memory
from ance_ir.training import TrainingQueries
from ance_ir.workflows.hard_negatives.contenders import Task, Work


def bench_mine(
    dataset: Dataset,
    model: str,
    *,
    split: str = "train",
    negatives: int = 7,
    depth: int = 100,
    length: int = 128,
    layers: int | None = None,
    rounds: int = 3,
    script: Path | None = None,
    device: str | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Mine negatives, drawn uniformly from the first documents of each query: ours, sentence-transformers', FlagEmbedding's.

    All search the same vectors, which are there before. Ours writes a training file, FlagEmbedding's too; sentence-transformers' makes a
    data set in memory.

    Args:
        dataset: documents, queries and judgements.
        model: the encoder.
        split: the queries.
        negatives: for each query.
        depth: documents of a ranking that they are drawn from.
        length: tokens that a text is cut to.
        layers: of the encoder that are kept; 0, its embeddings alone, is quick; ``None``: all.
        rounds: that count; the contenders take turns in each.
        script: FlagEmbedding's ``scripts/hn_mine.py``, which no package has; ``None``: it does not take part.
        device: where to encode.
        verbose: show progress of encoding.

    Returns:
        A row for each contender: ``seconds``, ``ours ×`` (how many times as long as ours it takes), ``peak MiB`` of a process that does
        nothing else, ``negatives`` a query, and ``positives``, the share of negatives that are known positives of their query, or have
        the text of one.

    Raises:
        MissingDependencyError: sentence-transformers is not installed.
    """
    encoder = DenseEncoder.from_pretrained(model, device=device, layers=layers, passage_length=length)
    index = dataset_dense(dataset, encoder, FirstP(), verbose=verbose)
    queries = TrainingQueries.load(dataset, dataset.store(), split)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "queries.npy", encoder.encode_queries(queries.texts))
        task = Task(
            dataset=dataset.source,
            split=split,
            index=index.folder,
            vectors=folder / "queries.npy",
            folder=folder,
            negatives=negatives,
            depth=depth,
            script=script,
        )
        return _measured(task, rounds)


def _measured(task: Task, rounds: int) -> pd.DataFrame:
    work = Work(task)
    contenders = work.contenders()
    found = {name: work.read(name, mine()) for name, mine in contenders.items()}
    seconds = alternate(contenders, rounds)
    return pd.DataFrame(
        [
            {
                "contender": name,
                "seconds": medians(seconds)[name],
                "ours ×": ratio(seconds, name, OURS),
                "peak MiB": _peak(task, name),
                "negatives": sum(len(texts) for _, texts in mined) / max(1, len(mined)),
                "positives": work.share_of_positives(mined),
            }
            for name, mined in found.items()
        ]
    )


def _peak(task: Task, name: str) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_mine_alone, task, name, torch.get_num_threads()).result()


def _mine_alone(task: Task, name: str, threads: int) -> float:
    """Mine once in a separate process; the peak memory, MiB."""
    torch.set_num_threads(threads)
    Work(task).contenders()[name]()
    return peak_memory()
