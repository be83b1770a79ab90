"""Writing of model folders."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ance_ir.files import as_path, atomic_folder


@contextlib.contextmanager
def model_folder(path: Path | str, marker: str) -> Iterator[Path]:
    """As ``atomic_folder``; system errors that model libraries report only as text become ``OSError``, with the folder's name.

    Raises:
        OSError: the folder cannot be written, say because the disk is full.
        UsageError: there is something else at the path.
    """
    path = as_path(path)
    try:
        with atomic_folder(path, marker) as folder:
            yield folder
    except Exception as error:  # safetensors has a class for all errors, tokenizers has none
        found = re.search(r"\(os error (\d+)\)", str(error))
        if isinstance(error, OSError) or found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
