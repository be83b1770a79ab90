"""MS MARCO's passages.

=============================================  =================================================================
``collection.tsv``                             pid, tab, passage
``queries.SPLIT.tsv``                          qid, tab, text: ``train``, ``dev``, ``dev.small``, ``eval``, …
``qrels.SPLIT.tsv``                            TREC's four columns: qid, 0, pid, label
``qidpidtriples.train.full.2.tsv``             qid, positive and negative pid, with tabs between them
``msmarco-test2019-queries.tsv``, ``2020``     queries of TREC Deep Learning: the splits ``trec-dl-2019`` and ``trec-dl-2020``
``2019qrels-pass.txt``, ``2020``               their judgements
=============================================  =================================================================

Files may be compressed, and all but the first may be missing. The first line of a file is not a header. A translation, or a collection of
your own, may be called so, too; MS MARCO's and TREC's ways of evaluating apply to splits of these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._files import find_corpus, of_splits
from ance_ir.datasets.layouts._msmarco import Names, find_parts
from ance_ir.datasets.layouts._records import RecordFiles
from ance_ir.datasets.layouts._triples import parse_triple, triples
from ance_ir.datasets.layouts._writing import write_columns
from ance_ir.datasets.parsing import read_columns
from ance_ir.files import atomic_folder

_CORPUS = "collection.tsv"
NAMES = Names(
    queries=(r"queries\.(?P<split>.+)\.tsv",),
    qrels=(r"qrels\.(?P<split>.+)\.tsv", r"(?P<year>20\d\d)qrels-pass\.txt"),
)


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    corpus = find_corpus(path, _CORPUS)
    if columns or corpus is None:
        return None
    parts = find_parts(path, NAMES, [corpus], partial(read_columns, corpus, ("docno", "text")))
    if (folder := corpus.parent) == path:
        found = of_splits(folder, r"qidpidtriples\.(?P<split>[^.]+)\.(?:full(?:\.2)?|small)\.tsv")
        own = RecordFiles(
            splits={split: [triples(file)] for split, file in found.items()}, parse=parse_triple, joined=True, texts=False
        ).parts()
        parts = replace(parts, instances=own.instances, qrels={**own.qrels, **parts.qrels}, files=[*parts.files, *own.files])
    dataset = FileDataset(path, name, parts, layout="msmarco-passage", holds=LAYOUT.holds)
    dataset.known_as = "msmarco-passage"
    return dataset


def _write(contents: Contents, out: Path) -> None:
    with atomic_folder(out, _CORPUS) as folder:
        write_columns(folder / _CORPUS, ((one["docno"], one["text"]) for one in contents.documents()))
        for split in contents.splits:
            write_columns(folder / f"queries.{split}.tsv", contents.queries(split).itertuples(index=False))
            if (qrels := contents.qrels(split)) is not None:
                write_columns(folder / f"qrels.{split}.tsv", ((row.qid, 0, row.docno, row.label) for row in qrels.itertuples()))


LAYOUT = Layout(
    order=22,
    open=_open,
    holds=frozenset({"docno", "corpus", "queries", "qid", "labels", "unjudged", "splits"}),
    example="collection.tsv, queries.SPLIT.tsv, qrels.SPLIT.tsv",
    marks=(_CORPUS,),
    write=_write,
)
