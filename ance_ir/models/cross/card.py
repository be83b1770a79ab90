"""What a cross-encoder says of itself: for ``ance-ir info``, and for the model card that goes with a saved one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ance_ir.models.dense.card import describe_backbone, said, table

if TYPE_CHECKING:
    from ance_ir.models.cross.model import CrossEncoder


def describe_cross_encoder(model: CrossEncoder) -> dict[str, str]:
    """Properties of a cross-encoder in words, its fingerprint last; the settings are ``describe_pairs``'s."""
    one = model.classifier.config.num_labels == 1
    return {
        "backbone": describe_backbone(model.classifier, model),
        "logits": "one" if one else f"two; class {model.settings.relevant_class} is the relevant one",
        "longest": f"{model.tokenizer.longest} tokens",
        "fingerprint": model.fingerprint(),
    }


def describe_pairs(model: CrossEncoder) -> dict[str, str]:
    """The settings by the name under which they can be changed."""
    return said(asdict(model.settings))


def cross_encoder_card(model: CrossEncoder) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    return f"""---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags: [ance_ir, cross-encoder, reranker]
---

# A reranker

Trained or saved with `ance_ir`.

{table(describe_cross_encoder(model))}

Settings:

{table(describe_pairs(model))}

```python
from ance_ir import CrossEncoder

model = CrossEncoder.from_pretrained("this/folder")
scores = model.score(["what is a reranker"], ["A reranker reads the query and the document together."])
```
"""
