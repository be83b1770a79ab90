"""What a model says of itself: for ``ance-ir info``, and for the model card that goes with a saved checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from ance_ir.models.dense.model import DenseEncoder


def describe(model: DenseEncoder) -> dict[str, str]:
    """Properties of a model in words, its fingerprint last; the text settings are ``describe_text``'s."""
    tower = model.query_tower
    return {
        "backbone": describe_backbone(tower.backbone, model),
        "towers": "one for queries and passages" if model.shared else "separate ones for queries and passages",
        "pooling": "position 0" if tower.pooling == "cls" else "mean over tokens",
        "head": "none" if tower.head is None else str(tower.head),
        "vector": f"{model.dimension} dimensions",
        "score": "cosine" if model.similarity == "cosine" else "dot product",
        "longest": f"{model.tokenizer.longest} tokens",
        "fingerprint": model.fingerprint(),
    }


def describe_backbone(backbone: PreTrainedModel, model: nn.Module) -> str:
    """Its kind and precision, and how large the whole model is."""
    weights = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return f"{backbone.config.model_type}, {weights:.1f} M weights, {str(backbone.dtype).removeprefix('torch.')}"


def describe_text(model: DenseEncoder) -> dict[str, str]:
    """The text settings by the name under which they can be changed."""
    return said(asdict(model.text))


def said(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings in words."""
    return {name: ",".join(value) if isinstance(value, tuple) else repr(value) for name, value in settings.items()}


def table(rows: Mapping[str, str]) -> str:
    """A Markdown table of names and values."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def model_card(model: DenseEncoder) -> str:
    """A Hugging Face model card, filled in with what the model knows of itself."""
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [ance_ir, dense-retrieval]
---

# A dense retriever

Trained or saved with `ance_ir`.

{table(describe(model))}

Text settings:

{table(describe_text(model))}

```python
from ance_ir import DenseEncoder

model = DenseEncoder.from_pretrained("this/folder")
query_vectors = model.encode_queries(["what is dense retrieval"])
passage_vectors = model.encode_passages(["Dense retrieval matches queries and passages by their vectors."])
```
"""
