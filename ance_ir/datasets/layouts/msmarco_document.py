"""MS MARCO's documents.

=================================================  =================================================================
``msmarco-docs.tsv``                               docid, url, title and body, with tabs between them
``msmarco-docSPLIT-queries.tsv``                   qid, tab, text: ``train``, ``dev``; ``docleaderboard-queries.tsv`` is ``leaderboard``
``msmarco-docSPLIT-qrels.tsv``                     TREC's four columns: qid, 0, docid, label
``msmarco-docSPLIT-top100``                        TREC's six columns: the run ``top100``
``msmarco-test2019-queries.tsv``, ``2020``         queries of TREC Deep Learning: the splits ``trec-dl-2019`` and ``trec-dl-2020``
``2019qrels-docs.txt``, ``2020``                   their judgements
``orcas-doctrain-queries.tsv``, ``-qrels.tsv``     ORCAS' clicks: the split ``orcas``
=================================================  =================================================================

Files may be compressed, and all but the first may be missing. The first line of a file is not a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._files import find_corpus
from ance_ir.datasets.layouts._msmarco import Names, find_parts
from ance_ir.datasets.layouts._writing import write_columns
from ance_ir.datasets.parsing import read_columns
from ance_ir.files import atomic_folder

_CORPUS = "msmarco-docs.tsv"
_COLUMNS = ("docno", "url", "title", "text")


def _named(kind: str, ending: str) -> tuple[str, ...]:
    """Patterns of the names of a kind of file."""
    return (
        rf"msmarco-doc(?P<split>(?!test20).+)-{kind}{ending}",
        rf"doc(?P<split>leaderboard)-{kind}(?:\.tsv)?",
        rf"(?P<split>orcas)-doctrain-{kind}{ending}",
        rf"msmarco-doctest(?P<year>20\d\d)-{kind}{ending}",
    )


_NAMES = Names(
    queries=_named("queries", r"\.tsv"),
    qrels=(*_named("qrels", r"\.tsv"), r"(?P<year>20\d\d)qrels-docs\.txt"),
    runs=_named("top100", ""),
)


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    corpus = find_corpus(path, _CORPUS)
    if columns or corpus is None:
        return None
    parts = find_parts(path, _NAMES, [corpus], partial(read_columns, corpus, _COLUMNS))
    dataset = FileDataset(path, name, parts, layout="msmarco-document", holds=LAYOUT.holds)
    dataset.known_as = "msmarco-document"
    return dataset


def _write(contents: Contents, out: Path) -> None:
    with atomic_folder(out, _CORPUS) as folder:
        write_columns(folder / _CORPUS, ([one.get(name, "") for name in _COLUMNS] for one in contents.documents()))
        for split in contents.splits:
            write_columns(folder / f"msmarco-doc{split}-queries.tsv", contents.queries(split).itertuples(index=False))
            if (qrels := contents.qrels(split)) is not None:
                judged = ((row.qid, 0, row.docno, row.label) for row in qrels.itertuples())
                write_columns(folder / f"msmarco-doc{split}-qrels.tsv", judged, delimiter=" ")


LAYOUT = Layout(
    order=24,
    open=_open,
    holds=frozenset({"docno", "title", "url", "corpus", "queries", "qid", "labels", "unjudged", "splits"}),
    example="msmarco-docs.tsv, msmarco-docSPLIT-queries.tsv, msmarco-docSPLIT-qrels.tsv",
    marks=(_CORPUS,),
    write=_write,
)
