"""DPR's training files, passages and questions.

=============================================  =============================================================================
``biencoder-NAME-SPLIT.json``                  training records
``psgs_w100.tsv``                              id, text and title under a line of these names, quoted as in CSV files
``NAME-SPLIT.qa.csv``                          question, tab, Python list of answers: ``nq-test.qa.csv``, ``trivia-dev.qa.csv``
=============================================  =============================================================================

Files may be compressed. Passages and questions lie in one folder. Where all questions are of one NAME, splits are ``test``, ``dev`` and
``train``, otherwise ``nq-test``, ``trivia-test``, …. A question's qid is its place in its file, from 0, as in Pyserini. There are no
judgements: a passage counts that holds an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._biencoder import write_biencoder, write_biencoders
from ance_ir.datasets.layouts._passages import CORPUS, open_folder


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    return open_folder(path, name, columns)


LAYOUT = Layout(
    order=28,
    open=_open,
    holds=frozenset({"docno", "title", "queries", "splits", "answers", "negatives", "scores"}),
    example="biencoder-NAME-SPLIT.json; psgs_w100.tsv, NAME-SPLIT.qa.csv",
    marks=(CORPUS,),
    write=write_biencoders,
    write_records=write_biencoder,
)
