"""Words in the text of a system, and which of them are paths.

A word is a path by its form alone: what lies in the working folder does not change what a text means.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ance_ir import compression
from ance_ir.files import as_path

SIGN = re.compile(r"[\s>%*+()\[\],;=\"']")
"""The characters that end a word."""

ENDINGS = (".ance", ".bm25", ".splade", ".run", ".trec", ".tsv", ".txt", *compression.ENDINGS)
"""A word that ends like this is a path."""

_MOST_SIGNS = 64
"""Signs within a name or a path on disk; each is a file to look for."""


def is_path(word: str) -> bool:
    """Whether a word has the form of a path: a separator in it, or a known ending."""
    return "/" in word or os.sep in word or word.lower().endswith(ENDINGS)


def word_ends(text: str, place: int) -> Iterator[int]:
    """The possible ends of a word that begins at a place: the text's end and before each sign, the farthest first."""
    signs = [sign.start() for sign in islice(SIGN.finditer(text, place + 1), _MOST_SIGNS)]
    return (end for end in (len(text), *reversed(signs)) if text[place:end] and text[place:end] == text[place:end].strip())


def end_on_disk(text: str, place: int) -> int:
    """The end of the longest path on disk that begins at a place; 0 if there is none. Deprecated, see ``warn_of_form``."""
    return next((end for end in word_ends(text, place) if os.path.exists(as_path(text[place:end]))), 0)


def path_word(path: Path | str) -> str:
    """A path as the text of a system has it: ``./runs``, ``x.ance``, ``"my runs/x"``."""
    word = str(path) if is_path(str(path)) else f"./{path}"
    return f'"{word}"' if SIGN.search(word) else word


def warn_of_form(word: str) -> None:
    """Warn of a path that was only recognised since it is on disk."""
    found = f"{word!r} is read as a path since it is on disk; the next release will not look there."
    warnings.warn(f"{found} To name it write {path_word(word)}", FutureWarning, stacklevel=2)
