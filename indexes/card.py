"""What an index is, in words: for `ance-ir index info`, and as the card of one that is shared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyterrier.utils import byte_count_to_human_readable as human

from ance_ir.indexes.search.exact import MEMORY_BUDGET

if TYPE_CHECKING:
    from ance_ir.indexes.ance_index import AnceIndex


def describe(index: AnceIndex) -> dict[str, str]:
    """Size, counts, model and memory of an index, a line each."""
    manifest, store, table = index.manifest, index.vectors, index.table
    rows = {"documents": f"{len(index):,}"}
    if len(table.deleted):
        rows["deleted"] = f"{len(table.deleted):,}; `ance-ir index compact` frees their space"
    if manifest["most_passages"] > 1:
        rows["passages"] = f"{len(store):,}, at most {manifest['most_passages']} a document"
    rows["vectors"] = (
        f"{len(store):,} × {store.dimension} {store.dtype}, in {len(store.shards)} {'shards' if len(store.shards) > 1 else 'shard'}"
    )
    rows["size on disk"] = human(sum(path.stat().st_size for path in index.folder.rglob("*") if path.is_file()))
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
    vectors = len(store) * store.dimension
    rows["memory, exact"] = f"{human(MEMORY_BUDGET)} at most, and fast where {human(vectors * store.dtype.itemsize)} of page cache are free"
    rows["memory, Faiss flat"] = human(vectors * 4)
    return rows


def readme(index: AnceIndex, repository: str, title: str, metadata: Mapping[str, Any]) -> str:
    """A dataset card for the Hugging Face hub."""
    encoding = index.manifest["encoding"]
    kind = f"pyterrier-artifact.{index.ARTIFACT_TYPE}"
    if encoding is None:
        opening = 'model = DenseEncoder.from_pretrained("the model that made the vectors")'
        made = "It was built from vectors that were given; which model made them is not recorded."
    else:
        opening = "model = index.model()"
        made = (
            f"Documents of the collection were cut by `{encoding['passages']}`, encoded by `{encoding['model']}` and stored as "
            f"{index.vectors.dtype}. A query encoder whose fingerprint is not the one above is refused."
        )
    return _CARD.format(
        pretty_name=json.dumps(title),
        tags="\n".join(f"- {tag}" for tag in ("pyterrier", "pyterrier-artifact", kind, f"{kind}.{index.ARTIFACT_FORMAT}")),
        title=title,
        documents=f"{len(index):,}",
        table="\n".join(f"| {name} | {value} |" for name, value in describe(index).items()),
        repository=repository,
        importing="from ance_ir import DenseEncoder\n" if encoding is None else "",
        opening=opening,
        made=made,
        metadata=json.dumps(metadata, indent=2),
    )


_CARD = """---
pretty_name: {pretty_name}
tags:
{tags}
task_categories:
- text-retrieval
viewer: false
---

# {title}

A dense index of {documents} documents, for exact and approximate search with [PyTerrier](https://pyterrier.readthedocs.io) and
[ance_ir](https://pypi.org/project/ance-ir).

| | |
|---|---|
{table}

## Usage

```python
import pyterrier as pt
{importing}
index = pt.Artifact.from_hf({repository!r})
{opening}
index.retriever(model).search("a question")
```

## How it was made

{made}

## Files

```
{metadata}
```
"""
