"""What corpus graphs say of themselves, in an index's folder; ``indexes.graph`` builds and opens them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from ance_ir.digests import digest_of
from ance_ir.errors import DamagedIndexError
from ance_ir.typed_json import read_typed

META = "pt_meta.json"


class _Meta(TypedDict):
    type: str
    format: str
    doc_count: int
    k: int
    backend: str
    index: str


def read_meta(folder: Path) -> dict[str, Any]:
    """What a graph's folder says.

    Raises:
        FileNotFoundError: there is no graph, or none that is complete.
        DamagedIndexError: it cannot be read.
    """
    found: dict[str, Any] = read_typed(folder / META, _Meta, error=DamagedIndexError, remedy=f"remove {folder}")
    return found


def state_of(manifest: dict[str, Any]) -> str:
    """What a graph says that it is of: an index, as it is."""
    return digest_of(manifest)


def describe_graphs(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """A line for each complete graph in the folder of an index, whose manifest says whether the graph is of its present state."""
    for path in sorted(folder.glob(f"graph-*/{META}")):
        found = read_meta(path.parent)
        fresh = "of the index as it is" if found["index"] == state_of(manifest) else "of an earlier state, and not used"
        yield f"{min(found['k'], found['doc_count'] - 1)} neighbours of {found['doc_count']:,} documents, by {found['backend']}; {fresh}"
