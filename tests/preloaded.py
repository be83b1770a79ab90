"""What the processes that tests start have imported: also the modules that models and engines import only once they are used."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import ance_ir.eval  # noqa: F401
import ance_ir.models.dense.checkpoint  # noqa: F401
import tests.training_jobs  # noqa: F401
import tests.worst_instants  # noqa: F401
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.pipelines import BM25Index
from tests.tiny import cross_encoder, encoder, reader

torch.set_num_threads(1)  # a process with threads cannot be forked safely
with tempfile.TemporaryDirectory() as folder:
    for name, made in {"encoder": (DenseEncoder, encoder), "reranker": (CrossEncoder, cross_encoder), "reader": (Reader, reader)}.items():
        kind, make = made
        make().save(Path(folder, name))
        kind.from_pretrained(Path(folder, name), device="cpu")
    BM25Index(Path(folder, "bm25")).index([{"docno": "d", "text": "a cat"}]).retriever().search("cat")
