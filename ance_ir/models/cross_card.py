"""What a cross-encoder says of itself: for ``ance-ir info``, and for the model card that goes with a saved one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ance_ir.models.card import said

if TYPE_CHECKING:
    from ance_ir.models.cross import CrossEncoder


def describe_cross_encoder(model: CrossEncoder) -> dict[str, str]:
    """Properties of a cross-encoder in words, its fingerprint last; the settings are ``describe_pairs``'s."""
    weights = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    config = model.classifier.config
    one = config.num_labels == 1
    return {
        "backbone": f"{config.model_type}, {weights:.1f} M weights, {str(model.classifier.dtype).removeprefix('torch.')}",
        "logits": "one" if one else f"two; class {model.settings.relevant_class} is the relevant one",
        "longest": f"{model.tokenizer.longest} tokens",
        "fingerprint": model.fingerprint(),
    }


def describe_pairs(model: CrossEncoder) -> dict[str, str]:
    """The settings by the name under which they can be changed."""
    return said(asdict(model.settings))


def cross_encoder_card(model: CrossEncoder) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in describe_cross_encoder(model).items())
    settings = "\n".join(f"| `{name}` | `{value}` |" for name, value in describe_pairs(model).items())
    return f"""---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags: [ance_ir, cross-encoder, reranker]
---

# A reranker

Trained or saved with `ance_ir`.

| | |
|---|---|
{rows}

Settings:

| | |
|---|---|
{settings}

```python
from ance_ir import CrossEncoder

model = CrossEncoder.from_pretrained("this/folder")
scores = model.score(["what is a reranker"], ["A reranker reads the query and the document together."])
```
"""
