"""MS MARCO's passages, documents and segments of versions 2 and 2.1.

========================================================  ======================================================================
``msmarco_v2_passage/msmarco_passage_NN.gz``              ``{"pid", "passage", …}`` a line
``msmarco_v2_doc/msmarco_doc_NN.gz``                      ``{"docid", "url", "title", "headings", "body"}`` a line; likewise v2.1
``msmarco_v2.1_doc_segmented/…_NN.json.gz``               ``{"docid", "url", "title", "headings", "segment", …}`` a line
``passv2_SPLIT_queries.tsv``, ``docv2_…``                 qid, tab, text: ``train``, ``dev``, ``dev2``
``passv2_SPLIT_qrels.tsv``, ``docv2_…``                   TREC's four columns
``passv2_SPLIT_top100.txt``, ``docv2_…``                  TREC's six columns: the run ``top100``
``2021_queries.tsv``, …, ``2021.qrels.pass.final.txt``    TREC Deep Learning: the split ``trec-dl-2021``, …
========================================================  ======================================================================

The path is the folder that holds the documents' folder, or that folder alone; queries and judgements are looked for where the path is.
Plain files are read, too, and headings are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ance_ir.compression import plain_name
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._msmarco import Names, find_parts
from ance_ir.datasets.rows import DocumentColumns, read_documents
from ance_ir.datasets.tables import open_table
from ance_ir.errors import DatasetError

_PART = re.compile(r"msmarco_(?:v2(?:\.1)?_)?(?P<kind>passage|doc_segmented|doc)_\d+(?:\.jsonl?)?")
_TREC_QUERIES = r"(?P<year>20\d\d)_queries\.tsv"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    columns: DocumentColumns
    names: Names


def _names(short: str, long: str, judged: str) -> Names:
    return Names(
        queries=(rf"{short}v2_(?P<split>.+)_queries\.tsv", _TREC_QUERIES),
        qrels=(
            rf"{short}v2_(?P<split>(?!trec20).+)_qrels\.tsv",
            rf"{short}v2_trec(?P<year>20\d\d)_qrels\.txt",
            rf"(?P<year>20\d\d)\.qrels\.{judged}\..+\.txt",
        ),
        runs=(rf"{short}v2_(?P<split>.+)_top100\.txt", rf"(?P<year>20\d\d)_{long}_top100\.txt"),
    )


_OF_DOCUMENTS = _names("doc", "document", "docs")
_KINDS = {
    "passage": _Kind(columns=DocumentColumns(docno="pid", text="passage"), names=_names("pass", "passage", "pass")),
    "doc": _Kind(columns=DocumentColumns(docno="docid", text="body"), names=_OF_DOCUMENTS),
    "doc_segmented": _Kind(columns=DocumentColumns(docno="docid", text="segment"), names=_OF_DOCUMENTS),
}


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    if columns or not path.is_dir():
        return None
    inner = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    found = {folder: files for folder in (path, *inner) if (files := _corpus(folder))}
    if not found:
        return None
    kinds = {kind: folder for folder, files in found.items() for kind in files}
    if len(kinds) > 1 or len(found) > 1:
        places = ", ".join(map(str, dict.fromkeys(found)))
        raise DatasetError(f"{path} holds {' and '.join(sorted(kinds))} collections of MS MARCO v2 ({places}): give the folder of one")
    ((kind, folder),) = kinds.items()
    corpus = found[folder][kind]
    chosen = _KINDS[kind]
    documents = partial(read_documents, [(open_table(file), chosen.columns) for file in corpus])
    parts = find_parts(path, chosen.names, corpus, documents)
    return FileDataset(path, name, parts, layout="msmarco-v2", holds=LAYOUT.holds)


def _corpus(folder: Path) -> dict[str, list[Path]]:
    """The files of documents of a folder by their kind, in order."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _PART.fullmatch(plain_name(path.name))) and path.is_file():
            found.setdefault(match["kind"], []).append(path)
    return found


LAYOUT = Layout(
    order=26,
    open=_open,
    holds=frozenset({"docno", "title", "url", "corpus", "queries", "qid", "labels", "unjudged", "splits", "runs", "lines"}),
    example="msmarco_v2_passage/msmarco_passage_NN.gz, passv2_SPLIT_queries.tsv, passv2_SPLIT_qrels.tsv",
)
