"""Documents in Parquet, Arrow, CSV, TSV or JSON files whose columns name them.

A file, or a folder of files: ``.parquet``, ``.arrow`` (also what Hugging Face datasets saved), ``.csv`` and ``.tsv`` with a header,
``.json`` and ``.jsonl``. A row is a document:

=========  =================================================================================================
docno      ``docno``, ``pid``, ``passage_id``, ``docid``, ``doc_id``, ``document_id``, ``corpus_id``, ``_id``, ``id``: the first of these
text       ``text``, ``contents``, ``content``, ``passage``, ``segment``, ``body``, ``document``: likewise
title      ``title``, where there is one
url        ``url``, where there is one
=========  =================================================================================================

Other columns are named: ``--column text=abstract --column docno=key``, or ``papers.parquet[text=abstract; docno=key]``. Where columns are
named and none is the docno's, docnos are hashes of the texts, and documents of equal text are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ance_ir.datasets.distinct import distinct
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts.text import find_texts
from ance_ir.datasets.roles import Roles, find_roles
from ance_ir.datasets.rows import DOCNO, DocumentColumns, read_documents
from ance_ir.datasets.screening import Document, Unusable
from ance_ir.datasets.table import Table
from ance_ir.errors import DatasetError


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    roles = find_roles(path, columns)
    if not roles.documents:
        return None
    _check(path, roles, columns)
    parts = Parts(corpus=roles.corpus, documents=partial(_documents, roles.documents))
    holds = LAYOUT.holds if all(found.docno for _, found in roles.documents) else LAYOUT.holds - {"docno"}
    return FileDataset(path, name, parts, layout="records", holds=holds)


def _documents(tables: list[tuple[Table, DocumentColumns]]) -> Iterator[Document | Unusable]:
    """The documents, those that have their ids from equal texts once."""
    documents = read_documents(tables)
    return documents if all(found.docno for _, found in tables) else distinct(documents)


def _check(path: Path, roles: Roles, columns: Mapping[str, str]) -> None:
    """Refuse what is not documents alone, or has no ids.

    Raises:
        DatasetError: that.
    """
    if roles.others:
        other = roles.others[0]
        raise DatasetError(
            f"{path} holds documents in {roles.corpus[0].name}, and in {other.path.name} something else "
            f"(columns: {', '.join(other.first())}): put them into folders of their own"
        )
    texts = (text for text in (find_texts(path) if path.is_dir() else ()) if not _ABOUT.match(text.name))
    text = next(texts, None)
    if text is not None:
        raise DatasetError(
            f"{path} mixes layouts: it has documents in {roles.corpus[0].name} (records) and in {text.name} (text); put them into folders "
            "of their own"
        )
    without = next((table for table, found in roles.documents if found.docno is None), None)
    if without is not None and not columns:
        found = dict(roles.documents)[without]
        raise DatasetError(
            f"{without.path}: no column names the documents ({', '.join(DOCNO)}), found {', '.join(without.first())}. Name it: --column "
            f"docno=COLUMN; or take docnos from hashes of the texts: --column text={found.text}"
        )


_ABOUT = re.compile(r"(readme|licen[cs]e|notice|changelog|dataset)\b", re.IGNORECASE)
"""Names of text files that say something about the others."""

LAYOUT = Layout(
    order=95,
    open=_open,
    holds=frozenset({"docno", "title", "url", "corpus", "lines"}),
    example="a file or folder of .parquet, .arrow, .csv, .tsv, .jsonl with the columns docno, text, title?, url?",
)
