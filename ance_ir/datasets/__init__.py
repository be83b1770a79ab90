"""Datasets: documents, queries, judgements and answers."""

from __future__ import annotations

from ance_ir.datasets.by_name import load_dataset
from ance_ir.datasets.collections import counts_itself, kind_of
from ance_ir.datasets.conversion import convert
from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.description import describe
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingInstance, TrainingRecord
from ance_ir.datasets.layouts import LAYOUTS, layouts_table
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
    "LAYOUTS",
    "OnError",
    "QuestionFile",
    "TrainingInstance",
    "TrainingRecord",
    "convert",
    "counts_itself",
    "describe",
    "kind_of",
    "layouts_table",
    "load_dataset",
]
