"""DPR's training files, passages and questions.

=============================================  =============================================================================
``biencoder-NAME-SPLIT.json``                  training records: one list in JSON, or lines of JSON
``psgs_w100.tsv``                              id, text and title under a line of these names, quoted as in CSV files
``NAME-SPLIT.qa.csv``                          question, tab, Python list of answers: ``nq-test.qa.csv``, ``trivia-dev.qa.csv``
=============================================  =============================================================================

Files may be compressed. They lie in one folder; where all questions are of one NAME, splits are ``test``, ``dev`` and ``train``, otherwise
``nq-test``, ``trivia-test``, …. The qid of a question in a ``.qa.csv`` is its place, from 0, as in Pyserini; there are no judgements for
it: a passage counts that holds an answer. A split that has training records is read from them. Such a folder is written where there are
documents that no training record names.

A training record is

======================  ===============================================================================================
``question``            its text
``answers``             a list of strings
``positive_ctxs``       ``[{"title", "text", "passage_id" or "psg_id", "score"}, …]``; a question may have none
``hard_negative_ctxs``  likewise: they come first among the negatives
``negative_ctxs``       likewise: they follow
======================  ===============================================================================================

Without ``psgs_w100.tsv``, training files are a file or a folder, whose documents are the passages of all records. Without ``passage_id``
docnos are hashes of title and text; qids are hashes of the question. Scores are read where all passages of a side have one; in the files
that DPR published they are BM25's, and 1000 for positives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ance_ir.datasets.contents import FIELDS, Contents, LossError
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._biencoder import find_biencoders, write_biencoder, write_biencoders
from ance_ir.datasets.layouts._passages import CORPUS, HOLDS, OF_FOLDERS, open_folder, write_folder


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    if (folder := open_folder(path, name, columns)) is not None:
        return folder
    found = find_biencoders(path, columns)
    return None if found is None else FileDataset(path, name, found.parts(), layout="dpr", holds=HOLDS - OF_FOLDERS)


def _write(contents: Contents, out: Path) -> None:
    """A folder of passages, questions and training records where there are documents that no record names, otherwise the records alone.

    Raises:
        LossError: a file is named, which holds records of positives alone.
    """
    if contents.has("corpus") and not Path(out.name).suffix:
        write_folder(contents, out)
        return
    if lost := [name for name in sorted(OF_FOLDERS) if contents.has(name)]:
        what, remedy = (" and ".join(FIELDS[name] for name in lost), " ".join(f"--drop {name}" for name in lost))
        folder = f"; a folder with {CORPUS} holds them: give a name without ending" if contents.has("corpus") else ""
        raise LossError(f"training records cannot hold {what}; to leave them out: {remedy}{folder}")
    write_biencoders(contents, out)


LAYOUT = Layout(
    order=28,
    open=_open,
    holds=HOLDS,
    example="biencoder-NAME-SPLIT.json; psgs_w100.tsv, NAME-SPLIT.qa.csv",
    marks=(CORPUS,),
    write=_write,
    write_records=write_biencoder,
    ending=".json",
)
