"""The card of an index that is shared on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ance_ir.indexes.info import index_info
from ance_ir.indexes.store.snapshot import Snapshot


def readme(
    opened: Snapshot,
    artifact: tuple[str, str],
    repository: str,
    title: str,
    metadata: Mapping[str, Any],
    licence: str | None = None,
) -> str:
    """A dataset card.

    Args:
        opened: the index.
        artifact: PyTerrier's type and format of it.
        repository: where it is shared.
        title: its name.
        metadata: PyTerrier's description of the files.
        licence: as the hub writes it.
    """
    encoding = opened.manifest["encoding"]
    kind = f"pyterrier-artifact.{artifact[0]}"
    if encoding is None:
        opening = 'model = DenseEncoder.from_pretrained("the model that made the vectors")'
        made = "It was built from given vectors; which model made them is not recorded."
    else:
        opening = "model = index.model()"
        made = (
            f"Documents of the collection were cut by `{encoding['passages']}`, encoded by `{encoding['model']}` and stored as "
            f"{opened.vectors.dtype}. A query encoder whose fingerprint is not the one above is refused."
        )
    return _CARD.format(
        pretty_name=json.dumps(title),
        licence="" if licence is None else f"license: {json.dumps(licence)}\n",
        tags="\n".join(f"- {tag}" for tag in ("pyterrier", "pyterrier-artifact", kind, f"{kind}.{artifact[1]}")),
        title=title,
        documents=f"{opened.table.live:,}",
        table="\n".join(f"| {name} | {value} |" for name, value in index_info(opened).items()),
        repository=repository,
        importing="from ance_ir import DenseEncoder\n" if encoding is None else "",
        opening=opening,
        made=made,
        metadata=json.dumps(metadata, indent=2),
    )


_CARD = """---
pretty_name: {pretty_name}
{licence}tags:
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
