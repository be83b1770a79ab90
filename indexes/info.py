"""What an index holds, by which model it was made, and what memory searching it needs."""

from __future__ import annotations

from pathlib import Path

from pyterrier.utils import byte_count_to_human_readable as human

from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.indexes.store.graphs import describe_graphs
from ance_ir.indexes.store.snapshot import Snapshot
from ance_ir.notebooks import html_table


class IndexInfo(dict[str, str]):
    """Facts about an index by name; shown one a line.

    Args:
        folder: the index's.
        facts: see ``index_info``.
    """

    def __init__(self, folder: Path, facts: dict[str, str]) -> None:
        super().__init__(facts)
        self.folder = folder

    def __repr__(self) -> str:
        width = max(map(len, self))
        return f"{self.folder}\n" + "\n".join(f"  {name:<{width}}  {value}" for name, value in self.items())

    def _repr_html_(self) -> str:
        """For notebooks: a table."""
        return html_table(str(self.folder), self)


def size_on_disk(folder: Path) -> str:
    """The size of a folder's files, as people read it."""
    return str(human(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())))


def index_info(opened: Snapshot) -> IndexInfo:
    """Counts, size, model, memory and corpus graphs of an index."""
    manifest, store, table = opened.manifest, opened.vectors, opened.table
    rows = {"documents": f"{table.live:,}"}
    if len(table.deleted):
        rows["deleted"] = f"{len(table.deleted):,}; `ance-ir index compact` frees their space"
    if manifest["most_passages"] > 1:
        rows["passages"] = f"{len(store):,}, at most {manifest['most_passages']} a document"
    rows["vectors"] = (
        f"{len(store):,} × {store.dimension} {store.dtype}, in {len(store.shards)} {'shards' if len(store.shards) > 1 else 'shard'}"
    )
    rows["size on disk"] = size_on_disk(opened.folder)
    encoding = manifest["encoding"]
    if encoding is None:
        rows["model"] = "not recorded: built from vectors"
    else:
        text = encoding["text"]
        rows["model"] = encoding["model"]
        rows["fingerprint"] = encoding["fingerprint"]
        rows["similarity"] = encoding["similarity"]
        rows["cut by"] = encoding["passages"] or "nothing: a vector is a document"
        rows["lengths"] = f"queries {text['query_length']}, passages {text['passage_length']} tokens"
        rows["encoded in"] = encoding["precision"]
    vectors, graphs = len(store) * store.dimension, describe_graphs(opened.folder, manifest)
    rows["memory, exact"] = f"{human(MEMORY_BUDGET)} at most, and fast where {human(vectors * store.dtype.itemsize)} of page cache are free"
    rows["memory, Faiss flat"] = f"{human(vectors * 4)} of page cache"
    rows |= {f"corpus graph{'' if number == 1 else f' {number}'}": text for number, text in enumerate(graphs, 1)}
    return IndexInfo(opened.folder, rows)
