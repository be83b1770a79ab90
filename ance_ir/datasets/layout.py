"""What a layout is: a form in which collections and training data lie on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A form in which collections or training data lie on disk.

    Attributes:
        order: layouts are asked in ascending order; the first that recognises a path opens it.
        open: the dataset at a path, given the name that it should have and the columns that the user named (ours: theirs); ``None``
            if it is not in this layout. It looks at names and first records only.
        holds: which of ``FIELDS`` it can hold.
        marks: names of files that folders in this layout have, and in no other: two such names in one folder are an error.
        write: writes a dataset to a path, which appears whole or not at all.
        write_records: writes training records to a file, likewise.
        ending: of the names of such files; where a name has no ending, it is that of a folder with a file for each split. Empty where
            ``write_records`` writes folders, too.
        even: whether tools that read it expect as many negatives in each training record.
        example: what lies there, for documentation: ``"corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv"``.
    """

    order: int
    open: Callable[[Path, str, Mapping[str, str]], FileDataset | None]
    holds: frozenset[str]
    example: str
    marks: tuple[str, ...] = ()
    write: Callable[[Contents, Path], None] | None = None
    write_records: Callable[[Iterable[TrainingRecord], Path], None] | None = None
    ending: str = ""
    even: bool = False
