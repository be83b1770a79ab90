"""The model card that goes with a saved cross-encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ance_ir.models.cross import CrossEncoder


def cross_encoder_card(model: CrossEncoder) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    settings = model.settings
    weights = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    logits = "one logit" if model.classifier.config.num_labels == 1 else f"two logits, class {settings.relevant_class} is the relevant one"
    query = "half of the pair" if settings.query_length is None else f"{settings.query_length} tokens"
    return f"""---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags: [ance_ir, cross-encoder, reranker]
---

# A reranker

Trained or saved with `ance_ir`.

| | |
|---|---|
| backbone | {model.classifier.config.model_type}, {weights:.1f} M weights |
| score | {settings.score}, from {logits} |
| pair | {settings.pair_length} tokens; the document is cut |
| query | at most {query}, prefix {settings.query_prefix!r} |
| document | fields {", ".join(settings.fields)} joined by {settings.separator!r} |
| lower-cased by the package | {"yes" if settings.lower_case else "no"} |
| fingerprint | `{model.fingerprint()}` |

```python
from ance_ir import CrossEncoder

model = CrossEncoder.from_pretrained("this/folder")
scores = model.score(["what is a reranker"], ["A reranker reads the query and the document together."])
```
"""
