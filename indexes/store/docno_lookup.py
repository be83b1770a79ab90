"""The file of docnos that pyterrier_dr and pyterrier-adaptive read: docno to number and back, by the package npids.

npids chooses an encoding for runs of docnos and writes some that it cannot read again: a block of one, large numbers, prefixes that end
within a character. We use the encoding, and the reverse lookup, that hold every docno.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import IndexingError
from ance_ir.optional import optional

_FORWARD = 0
"""npids' mark of a block that maps numbers to docnos."""


def npids_for(needed_for: str, extra: str) -> Any:
    """The module ``npids``.

    Args:
        needed_for: its use, for the message.
        extra: of this package that brings it.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return optional("npids", needed_for=needed_for, remedy=f"pip install 'ance_ir[{extra}]'")


@contextlib.contextmanager
def docno_lookup(library: Any, path: Path) -> Iterator[Callable[[Sequence[str] | np.ndarray], None]]:
    """Write the file, docnos in the order of their numbers.

    Args:
        library: npids.
        path: of the file.

    Yields:
        a function that takes the next docnos.

    Raises:
        IndexingError: a docno that ends in a NUL character.
    """
    with library.utils.FileManager(path, "a") as lookup:

        def add(docnos: Sequence[str] | np.ndarray) -> None:
            encoded = np.array([docno.encode() for docno in docnos])
            if any(docno.endswith("\0") for docno in docnos):
                raise IndexingError(
                    "npids, which keeps docnos for pyterrier_dr and pyterrier-adaptive, has none that ends in a NUL character"
                )
            lookup.write_header(_FORWARD, len(docnos), {"format": "fixedbytes", "length": encoded.itemsize, "prefix": ""})
            lookup.write(encoded.tobytes())

        yield add
    library.builder.InvLookupBuilder.build(path)
