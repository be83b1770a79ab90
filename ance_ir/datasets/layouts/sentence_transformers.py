"""Pairs, triplets and n-tuples, as sentence-transformers trains with them.

Rows of JSON lines, CSV or TSV with a line of names, Parquet or Arrow, in a file, or in a folder whose files are all for training unless
their names say ``dev`` or ``test``:

==============================================  ======================================================================================
``anchor``, ``query`` or ``question``           the query
``positive`` or ``answer``                      a passage that answers it
``negative``; ``negative_1``, ``negative_2`` …  passages that do not, hard ones first; or lists of such
``scores``, ``score``, ``labels``, ``label``    a teacher's scores of positive and negatives, or by how much it scores the positive
                                                above each negative (as MarginMSELoss has it); for a pair whether it is one, 1 or 0
==============================================  ======================================================================================

Columns with other names are named: ``--column anchor=comment --column positive=code``. Others are ignored. A list of passages with
``labels`` or ``scores`` is read, too. Ids are hashes of the texts, so that rows of the same query are one query.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ance_ir.datasets.contents import LossError
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._kinds import RECORDS, find_kinds
from ance_ir.datasets.layouts._pairs import is_row, parse_row
from ance_ir.datasets.layouts._records import RecordFiles
from ance_ir.datasets.layouts._writing import alike, one_line, records_of_splits, write_json_lines
from ance_ir.errors import UsageError


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    found = find_kinds(path, "sentence-transformers", columns, {RECORDS: is_row})
    if found is None:
        return None
    files = RecordFiles(splits=found[RECORDS], parse=parse_row, joined=True)
    return FileDataset(path, name, files.parts(), layout="sentence-transformers", holds=LAYOUT.holds)


def _write_records(records: Iterable[TrainingRecord], path: Path) -> None:
    """Rows of n negatives where all have as many, otherwise a row for each negative: the columns of all rows are the same."""
    counts: set[int] = set()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        for record in alike(records, path.name):
            counts.add(len(record.negatives))
            for row in _rows(record):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        if 0 in counts and len(counts) > 1:
            raise UsageError(f"{path.name}: some queries have negatives and some have none, and rows all have the same columns")
        stream.seek(0)
        write_json_lines(path, _tuples(stream) if len(counts) < 2 else _triplets(stream))


def _rows(record: TrainingRecord) -> Iterator[list[Any]]:
    """For each positive the query, the positive, the negatives, and the scores of the documents.

    Raises:
        LossError: there are scores and no negatives: a number in a row of a pair would say whether it is one.
    """
    if record.positive_scores and not record.negatives:
        raise LossError(
            f"sentence-transformers' rows hold the scores of a positive together with those of negatives, and {record.query[:80]!r} has "
            "none; to leave scores out: --drop scores"
        )
    negatives = [one_line(document) for document in record.negatives]
    for number, document in enumerate(record.positives):
        scores = [*map(float, (record.positive_scores[number], *record.negative_scores))] if record.positive_scores else []
        yield [record.query, one_line(document), negatives, scores]


def _tuples(rows: IO[str]) -> Iterator[dict[str, Any]]:
    for query, positive, negatives, scores in map(json.loads, rows):
        named = {"negative" if len(negatives) == 1 else f"negative_{place}": one for place, one in enumerate(negatives, start=1)}
        yield {"anchor": query, "positive": positive, **named, **({"scores": scores} if scores else {})}


def _triplets(rows: IO[str]) -> Iterator[dict[str, Any]]:
    for query, positive, negatives, scores in map(json.loads, rows):
        for place, negative in enumerate(negatives, start=1):
            scored = {"scores": [scores[0], scores[place]]} if scores else {}
            yield {"anchor": query, "positive": positive, "negative": negative, **scored}


LAYOUT = Layout(
    order=44,
    open=_open,
    holds=frozenset({"queries", "splits", "negatives", "scores", "lines"}),
    example="train.jsonl with anchor, positive, negative or negative_1, negative_2, …, scores?",
    write=records_of_splits(_write_records),
    write_records=_write_records,
    ending=".jsonl",
    even=True,
)
