"""Datasets: documents, queries, judgements and answers."""

from __future__ import annotations

from ance_ir.datasets.by_name import load_dataset
from ance_ir.datasets.collections import counts_itself, kind_of
from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingInstance, TrainingRecord
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.datasets.screening import Document, OnError
from ance_ir.datasets.sources.irds import IrDataset
from ance_ir.datasets.sources.questions import QuestionFile
from ance_ir.datasets.store.docnos import DocnoMap
from ance_ir.datasets.store.documents import DocumentStore

__all__ = [
    "Dataset",
    "DirectoryDataset",
    "DocnoMap",
    "Document",
    "DocumentStore",
    "Documents",
    "FileDataset",
    "IrDataset",
    "OnError",
    "QuestionFile",
    "TrainingInstance",
    "TrainingRecord",
    "counts_itself",
    "kind_of",
    "load_dataset",
]
