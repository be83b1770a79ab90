"""Which files of records hold documents, queries or judgements: by their columns, and by their names where columns do not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ance_ir.datasets.rows import DocumentColumns, document_columns, is_judgement, is_query
from ance_ir.datasets.table import Table
from ance_ir.datasets.tables import find_tables, is_table, open_table, shards
from ance_ir.errors import DatasetError

_OF_QUERIES = re.compile(r"quer(y|ies)|topics?|questions?")
_NO_SPLIT = re.compile(r"(?:^|(?<=[._-]))(qrels?|judge?ments|default|data)(?=$|[._-])")


@dataclass(kw_only=True)
class Roles:
    """The tables at a path by what they hold.

    Attributes:
        documents: with the columns that they have.
        queries: of all splits.
        qrels: by split.
        others: what is none of these.
    """

    documents: list[tuple[Table, DocumentColumns]] = field(default_factory=list)
    queries: list[Table] = field(default_factory=list)
    qrels: dict[str, list[Table]] = field(default_factory=dict)
    others: list[Table] = field(default_factory=list)

    @property
    def corpus(self) -> list[Path]:
        """The files of documents."""
        return [table.path for table, _ in self.documents]

    @property
    def files(self) -> list[Path]:
        """The files of queries and judgements."""
        return [table.path for table in (*self.queries, *(table for tables in self.qrels.values() for table in tables))]


def find_roles(path: Path, columns: Mapping[str, str]) -> Roles:
    """The tables at a path. Of files that differ in their numbers alone, the first is looked into.

    Args:
        path: a file or folder.
        columns: other names of columns of documents, see ``Table``.

    Raises:
        DatasetError: none of the files of documents has the columns that were named.
        MalformedFileError: a first row cannot be read.
    """
    roles, named = Roles(), False
    files = find_tables(path) if path.is_dir() else [path] if is_table(path) else []
    for stem, alike in shards(files):
        values = open_table(alike[0]).first()
        mapped = columns if set(columns.values()) <= set(values) else {}
        named |= bool(mapped)
        tables = [open_table(file) for file in alike]
        words = [stem, *alike[0].parent.relative_to(path if path.is_dir() else path.parent).parts[::-1]]
        if not values:
            continue
        if is_judgement(values) and not mapped:
            roles.qrels.setdefault(_split(words), []).extend(tables)
        elif is_query(values) and any(map(_OF_QUERIES.search, words)) and not mapped:
            roles.queries.extend(tables)
        elif found := document_columns(values, mapped):
            roles.documents.extend((table, found) for table in tables)
        elif is_query(values):
            roles.queries.extend(tables)
        else:
            roles.others.extend(tables)
    if columns and roles.documents and not named:
        table = roles.documents[0][0]
        raise DatasetError(f"{table.path}: expected the columns {', '.join(columns.values())}, found {', '.join(table.first())}")
    return roles


def _split(words: list[str]) -> str:
    """The split in the name of a file of judgements, or of a folder around it: ``qrels/dev-00000-of-00001.parquet``."""
    return next(filter(None, _names(words)), "test")


def _names(words: list[str]) -> Iterator[str]:
    for word in words:
        yield _NO_SPLIT.sub("", word).strip("._-")
