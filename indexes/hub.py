"""Indexes on the Hugging Face hub, packed as PyTerrier packs artifacts."""

from __future__ import annotations

import pyterrier as pt

from ance_ir.errors import IndexingError
from ance_ir.hub import PREFIX

PACKAGE = "artifact.tar.lz4"
"""The file that PyTerrier looks for; it packs larger indexes into several, whose names begin so."""


def fetched(name: str) -> str:
    """The folder of an index on the hub, fetched into PyTerrier's cache where it is not there.

    Args:
        name: ``hf:ORGANISATION/NAME``, @REVISION after it or not.

    Raises:
        IndexingError: the hub did not give it, or it is something else.
    """
    try:
        artifact = pt.Artifact.from_url(name)
    except Exception as error:  # network, archive and JSON errors, and KeyError of unknown artifacts
        raise IndexingError(
            f"the hub did not give the index {name.removeprefix(PREFIX)!r} ({type(error).__name__}: {' '.join(str(error).split())[:120]}); "
            "check its name, and that there is a network; a model on the hub is no index: ance[model=NAME], bert[model=NAME]"
        ) from error
    return str(artifact.path)
