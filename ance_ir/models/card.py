"""Model cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the Hugging Face model cards of a family have in common.

    Attributes:
        library: that opens the models too.
        task: as the hub calls it.
        tags: for the hub.
        title: of the card.
        example: Python code that uses a model.
    """

    library: str
    task: str
    tags: str
    title: str
    example: str

    def filled(self, properties: Mapping[str, str], settings: Mapping[str, str]) -> str:
        """The card of a model, Markdown."""
        return f"""---
library_name: {self.library}
pipeline_tag: {self.task}
tags: [{self.tags}]
---

# {self.title}

Trained or saved with `ance_ir`.

{_markdown_table(properties)}

Settings:

{_markdown_table(settings)}

```python
{self.example.strip()}
```
"""


def _markdown_table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
