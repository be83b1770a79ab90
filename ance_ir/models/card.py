"""The model card that goes with a saved checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ance_ir.models.dense import DenseEncoder


def model_card(model: DenseEncoder) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    tower, text = model.query_tower, model.text
    towers = "one tower for queries and passages" if model.shared else "separate towers for queries and passages"
    head = "Linear and LayerNorm head" if tower.head is not None else "no head"
    weights = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [ance_ir, dense-retrieval]
---

# A dense retriever

Trained or saved with `ance_ir`.

| | |
|---|---|
| backbone | {tower.backbone.config.model_type}, {weights:.1f} M weights, {towers} |
| vector | {model.dimension} dimensions, {tower.pooling} pooling, {head} |
| score | {model.similarity} |
| query | {text.query_length} tokens, prefix {text.query_prefix!r} |
| passage | {text.passage_length} tokens, fields {", ".join(text.fields)} joined by {text.separator!r}, prefix {text.passage_prefix!r} |
| lower-cased by the package | {"yes" if text.lower_case else "no"} |
| fingerprint | `{model.fingerprint()}` |

```python
from ance_ir import DenseEncoder

model = DenseEncoder.from_pretrained("this/folder")
query_vectors = model.encode_queries(["what is dense retrieval"])
passage_vectors = model.encode_passages(["Dense retrieval matches queries and passages by their vectors."])
```
"""
