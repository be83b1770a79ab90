"""The errors of this package, under one root.

AnceError
├── UsageError                invalid arguments
│   └── PointedError          an invalid text, with the place of the mistake
├── MissingDependencyError    an optional package is not installed
├── BrokenDependencyError     an optional package is installed, and does not load
├── DatasetError
│   ├── DatasetNotFoundError  no dataset of that name, or a part of it is missing
│   ├── MalformedFileError    a line that does not parse: file, line number, what was expected
│   └── DocumentNotFoundError docnos that are not in the corpus
├── ModelError                a checkpoint that does not load
├── IndexingError
│   ├── DamagedIndexError     an index folder that is incomplete or altered
│   └── FingerprintError      an index built with another model
├── TrainingError             a training run that cannot start, continue or resume
├── EvaluationError           runs, qrels or measures that do not fit together
└── DeviceMemoryError         a device that runs out of memory, with small batches too where they are possible

A message says what was expected, what was found, and what to do. The command line prints it as one line and exits with 2.
"""

from __future__ import annotations

import re
from pathlib import Path


class AnceError(Exception):
    """Root of all errors of this package."""


class UsageError(AnceError, ValueError):
    """Invalid arguments."""


class PointedError(UsageError):
    """An invalid text; the message shows it with a caret under the place of the mistake.

    Args:
        message: what was expected and what was found.
        text: the whole text.
        place: of the mistake, 0 to the text's length.
    """

    def __init__(self, message: str, text: str, place: int) -> None:
        super().__init__(message)
        self.text = re.sub(r"\s", " ", text)
        self.place = place

    def pointer(self) -> str:
        """Two lines: the text, and a caret under the place."""
        return f"  {self.text}\n  {' ' * self.place}^"

    def __str__(self) -> str:
        return f"{self.args[0]}\n{self.pointer()}"

    def __reduce__(self) -> tuple[type[PointedError], tuple[str, str, int]]:
        return PointedError, (self.args[0], self.text, self.place)


class MissingDependencyError(AnceError, ImportError):
    """A package is not installed; the message says how to install it."""

    def __init__(self, package: str, needed_for: str, remedy: str) -> None:
        super().__init__(f"{needed_for} needs the package {package}: {remedy}")


class BrokenDependencyError(AnceError, ImportError):
    """A package is installed, and its import fails; the message gives the reason."""

    def __init__(self, package: str, needed_for: str, reason: BaseException) -> None:
        text = " ".join(str(reason).split()) or type(reason).__name__
        super().__init__(
            f"{needed_for} needs the package {package}, which is installed and does not load: {text}. "
            f"Install what is named there, or reinstall {package}"
        )


class DatasetError(AnceError):
    """A dataset that cannot be read."""


class DatasetNotFoundError(DatasetError):
    """No dataset of that name, or a part of it is missing."""


class MalformedFileError(DatasetError, ValueError):
    """A line that does not parse; ``hint`` says what it looks like and what to do."""

    def __init__(self, path: Path | str, line: int, expected: str, found: str, hint: str = "") -> None:
        shown = found if len(found) <= 80 else found[:77] + "..."
        super().__init__(f"{path}, line {line}: expected {expected}, found {shown!r}{f'. {hint}' if hint else ''}")
        self.expected = expected


class DocumentNotFoundError(DatasetError, KeyError):
    """Docnos that are not in the corpus."""

    __str__ = Exception.__str__


class ModelError(AnceError):
    """A checkpoint that does not load."""


class IndexingError(AnceError):
    """An index that cannot be built or used."""


class DamagedIndexError(IndexingError):
    """An index folder that is incomplete or altered."""


class FingerprintError(IndexingError):
    """An index built with another model than the one that encodes the queries."""


class TrainingError(AnceError):
    """A training run that cannot start, continue or resume."""


class EvaluationError(AnceError):
    """Runs, qrels or measures that do not fit together."""


class DeviceMemoryError(AnceError):
    """A device that runs out of memory with small batches too."""
