"""A folder of text files: a collection without queries, which can be indexed and searched.

A document is a file whose name ends in ``.txt`` or ``.md``, in the folder or in one within, plain or compressed and in UTF-8. Its docno is
its path in the folder, with ``/`` between the parts and without the ending of a compression; white space and ``%`` in it are written as in
URLs (``my notes.md`` is ``my%20notes.md``). Hidden files and folders are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

from ance_ir.compression import plain_name
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.screening import NO_DOCUMENT, UNDECODABLE, Document, Unusable
from ance_ir.datasets.tables import find_tables
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.reading import not_utf8, open_binary

_SUFFIXES = (".txt", ".md")
_OF_OTHERS = ("config.json", "modules.json", "pt_meta.json", "manifest.json", "run.json")
"""Files of models, indexes and runs, whose folders hold vocabularies and descriptions as text."""


class TextFolder(FileDataset):
    """The text files in a folder, of which no list is held.

    Args:
        folder: the folder.
        name: the dataset's name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        parts = Parts(corpus=(), documents=partial(_documents, folder))
        super().__init__(folder, name, parts, layout="text", holds=LAYOUT.holds)

    @property
    def fingerprint(self) -> str:
        """Hash of the documents: there is nothing else."""
        return self.corpus_fingerprint

    @cached_property
    def corpus_fingerprint(self) -> str:
        """Hash of the docnos and contents of the files."""
        return hash_files(find_texts(self.path), partial(_docno, self.path))

    @property
    def corpus_bytes(self) -> int:
        """Size of the files, in bytes."""
        return sum(path.stat().st_size for path in find_texts(self.path))


def find_texts(folder: Path) -> Iterator[Path]:
    """The text files in a folder and the folders in it, in order of their names; without hidden ones."""
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():  # it might lead back here
                yield from find_texts(path)
        elif plain_name(name).lower().endswith(_SUFFIXES) and path.is_file():
            yield path


def _documents(folder: Path) -> Iterator[Document | Unusable]:
    for path in find_texts(folder):
        try:
            with open_binary(path) as stream:
                text = stream.read().decode("utf-8-sig")
        except MalformedFileError as error:
            yield Unusable(kind=NO_DOCUMENT, error=error)
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            yield Unusable(kind=UNDECODABLE, error=not_utf8(path, line, error.object, error.start))
        except (OSError, DatasetError) as error:
            yield Unusable(kind=NO_DOCUMENT, error=DatasetError(f"{path}: {error}"))
        else:
            yield {"docno": _docno(folder, path), "text": text.replace("\r\n", "\n")}


_ESCAPED = re.compile(r"[%\s\x00-\x1f\x7f-\x9f\u200b\ufeff\ud800-\udfff]")
"""What an id cannot hold, and ``%``."""


def _docno(folder: Path, path: Path) -> str:
    """The path in the folder, as an id."""
    relative = path.relative_to(folder)
    named = relative.with_name(plain_name(path.name)).as_posix()
    return _ESCAPED.sub(lambda found: "".join(f"%{byte:02X}" for byte in os.fsencode(found[0])), named)


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    if not path.is_dir() or any((path / other).exists() for other in _OF_OTHERS) or next(find_texts(path), None) is None:
        return None
    if columns and not find_tables(path):
        raise DatasetError(f"{path} is a folder of texts, which have no columns: {', '.join(map('='.join, columns.items()))}")
    return None if columns else TextFolder(path, name)


LAYOUT = Layout(
    order=99,  # after all that know their files
    open=_open,
    holds=frozenset({"docno", "corpus", "lines"}),
    example="a folder of .txt and .md files",
)
