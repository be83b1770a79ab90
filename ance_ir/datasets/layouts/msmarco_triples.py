"""MS MARCO's triples of texts.

``triples.train.small.tsv``, or another name with ``triples`` in it and ``.tsv`` at its end, plain or compressed: query, a passage that
answers it and one that does not, with tabs between them and no line of names. Ids are hashes of the texts, so that lines of the same query
are one query.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ance_ir.compression import plain_name
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._kinds import split_named
from ance_ir.datasets.layouts._pairs import parse_row
from ance_ir.datasets.layouts._records import RecordFiles
from ance_ir.datasets.layouts._triples import are_triples
from ance_ir.datasets.table import Entry, Table
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.reading import lines

_COLUMNS = ("anchor", "positive", "negative")


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    found = [file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if _is_of_texts(file)]
    if columns or not found:
        return None
    splits: dict[str, list[Table]] = {}
    for file in found:
        if are_triples(file):
            raise DatasetError(f"{file} names queries and passages by ids: give the folder that also has collection.tsv and queries.tsv")
        splits.setdefault(split_named([plain_name(file.name)]), []).append(Table(file, _entries))
    files = RecordFiles(splits=splits, parse=parse_row, joined=True)
    return FileDataset(path, name, files.parts(), layout="msmarco-triples", holds=LAYOUT.holds)


def _is_of_texts(path: Path) -> bool:
    """Whether a file is called like triples, and its first line does not have the names of columns."""
    if not path.is_file() or not re.fullmatch(r".*triples.*\.tsv", plain_name(path.name)):
        return False
    _, first = next(_entries(path), (0, {}))
    return not isinstance(first, MalformedFileError) and first.get("positive") != "positive"


def _entries(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    for line in lines(path):
        try:
            texts = line.text.split("\t")
            if len(texts) != len(_COLUMNS):
                raise line.error("3 columns with tabs between them (query, positive, negative)")
            values: dict[str, str] | MalformedFileError = dict(zip(_COLUMNS, texts, strict=True))
        except MalformedFileError as error:
            values = error
        yield line.number, values


LAYOUT = Layout(
    order=30,
    open=_open,
    holds=frozenset({"queries", "negatives"}),
    example="triples.train.small.tsv",
)
