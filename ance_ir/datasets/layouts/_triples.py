"""Reading of triples: ids of a query, of a passage that answers it, and of passages that do not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ance_ir.datasets.layouts._records import Record
from ance_ir.datasets.layouts._sample import Passage, Sample
from ance_ir.datasets.table import Entry, Table
from ance_ir.errors import MalformedFileError
from ance_ir.reading import Line, lines

_EXPECTED = "a query's id, a positive's and those of negatives: [qid, pid, pid, …], or each pid with a score: [qid, [pid, score], …]"


def triples(path: Path) -> Table:
    """The lines of a file, lists in JSON or ids with tabs between them, as rows of ``ids``."""
    return Table(path, _entries)


def are_triples(path: Path) -> bool:
    """Whether the first line of a file is a list in JSON, or has ids and not texts."""
    with contextlib.suppress(MalformedFileError), contextlib.closing(lines(path)) as found:
        first = next(found, None)
        return first is not None and (
            first.text.lstrip().startswith("[") or all(re.fullmatch(r"\S+", one) for one in first.text.split("\t"))
        )
    return False


def _entries(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    for line in lines(path):
        try:
            values: dict[str, Any] | MalformedFileError = {"ids": _ids(line)}
        except MalformedFileError as error:
            values = error
        yield line.number, values


def _ids(line: Line) -> list[Any]:
    if not line.text.lstrip().startswith("["):
        return line.text.split("\t")
    found = line.json_value(_EXPECTED)
    if not isinstance(found, list):
        raise line.error(_EXPECTED)
    return found


def parse_triple(record: Record) -> Sample:
    """What is in a line; the texts are elsewhere."""
    qid, *rest = record.values["ids"] or [None]
    scored = [isinstance(one, list) and len(one) == 2 for one in rest]
    if not rest or any(scored) != all(scored):
        raise record.error(_EXPECTED)
    scores = [record.number_of(one[1], "ids") for one in rest] if scored[0] else []
    passages: list[Passage] = [(_id(record, one[0] if scored[0] else one), "", "") for one in rest]
    return Sample("", passages[:1], passages[1:], _id(record, qid), scores[:1], scores[1:])


def _id(record: Record, value: Any) -> str:
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not re.fullmatch(r"\S+", value):
        raise record.error(_EXPECTED)
    return value
