"""Writing of layouts."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ance_ir.datasets.contents import Contents, LossError
from ance_ir.datasets.instances import TrainingInstance, TrainingRecord
from ance_ir.datasets.screening import Document
from ance_ir.errors import UsageError
from ance_ir.files import atomic_folder, atomic_open

T = TypeVar("T", TrainingInstance, TrainingRecord)


def write_json_lines(path: Path, values: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
    """Write objects or lists, one a line.

    Raises:
        UsageError: the file's name is that of something else.
    """
    check_ending(path, (".jsonl", ".json", ".ndjson", ".jsonlines"), "lines of JSON")
    with atomic_open(path) as stream:
        for value in values:
            stream.write(json.dumps(value, ensure_ascii=False) + "\n")


def check_ending(path: Path, endings: Collection[str], what: str) -> None:
    """Refuse to write a file under a name by which it would not be recognised; one without an ending is allowed.

    Raises:
        UsageError: it has another ending.
    """
    plain = Path(path.name.removesuffix(".gz"))
    if plain.suffix not in ("", *endings):
        raise UsageError(f"{path.name}: what is written is {what}; give a name in {', '.join(endings)}, with .gz or without")


def write_columns(path: Path, rows: Iterable[Iterable[object]], *, header: Iterable[str] = (), delimiter: str = "\t") -> None:
    """Write rows of columns that are not quoted.

    Raises:
        LossError: a value holds the delimiter or an end of line.
    """
    with atomic_open(path) as stream:
        if header := list(header):
            stream.write(delimiter.join(header) + "\n")
        for row in rows:
            values = [str(value) for value in row]
            if bad := next((value for value in values if delimiter in value or "\n" in value or "\r" in value), None):
                raise LossError(
                    f"{path.name} cannot hold tabs and ends of lines, which stand in {bad[:80]!r}; to write spaces: --drop lines"
                )
            stream.write(delimiter.join(values) + "\n")


def one_line(document: Document) -> str:
    """The text of a document where a passage is one string: its title, if it has one, before its text."""
    title = document.get("title")
    return f"{title} {document['text']}" if title else document["text"]


def alike(records: Iterable[T], name: str) -> Iterator[T]:
    """Records or instances of a file, all of the same kind, since the parts of one are columns of all: scores of all documents or of none,
    prompts or none.

    Args:
        records: what is written.
        name: the file's, for messages.

    Raises:
        UsageError: one record has what others have not.
    """
    scored = None
    prompted = None
    for record in records:
        if not (record.positives or record.negatives):
            yield record
            continue
        counts = len(record.positive_scores), len(record.negative_scores)
        if any(counts) and counts != (len(record.positives), len(record.negatives)):
            raise UsageError(f"{name} holds scores of all documents or of none; the query {record.qid!r} has them of some")
        scored = any(counts) if scored is None else scored
        prompted = bool(record.prompt) if prompted is None else prompted
        if any(counts) != scored or (record.prompt and not prompted):
            part = "an instruction" if any(counts) == scored else "scores"
            raise UsageError(f"{name} holds {part} for each query or for none; {record.qid!r} differs from those before it")
        yield record


def records_of_splits(write: Callable[[Iterable[TrainingRecord], Path], None], ending: str = ".jsonl") -> Callable[[Contents, Path], None]:
    """The writer of a layout of files of training records, see ``file_of_each_split``.

    Args:
        write: writes a file.
        ending: of the names of files.
    """

    def write_contents(contents: Contents, out: Path) -> None:
        file_of_each_split(contents, out, lambda split, path: write(contents.records(split), path), ending)

    return write_contents


def file_of_each_split(contents: Contents, out: Path, write: Callable[[str, Path], None], ending: str) -> None:
    """Write one file if that is what the name says, otherwise a folder with a file for each split.

    Args:
        contents: what is written.
        out: where to.
        write: writes a split to a file.
        ending: of the names of files in a folder.

    Raises:
        UsageError: there are no queries, or a file is named and there are several splits.
    """
    if not contents.splits:
        raise UsageError(f"{contents.dataset.name} has no queries, of which training records are made")
    if not Path(out.name).suffix:
        with atomic_folder(out, contents.splits[0] + ending) as folder:
            for split in contents.splits:
                write(split, folder / (split + ending))
    elif len(contents.splits) > 1:
        splits = ", ".join(contents.splits)
        raise UsageError(f"{out.name} is the name of a file, which holds one split of {splits}: choose it by --split, or name a folder")
    else:
        write(contents.splits[0], out)
