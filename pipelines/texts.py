"""The text of a document for models without settings of their own: its title, where it has one, before its text."""

from __future__ import annotations

import pandas as pd

from ance_ir.pipelines.bm25.documents import clean
from ance_ir.transformers import given_texts

FIELDS = ("title", "text")


def title_and_text(frame: pd.DataFrame) -> list[str]:
    """The text of each row of a frame with ``text`` and perhaps ``title``."""
    texts = given_texts(frame["text"])
    titles = given_texts(frame["title"]) if "title" in frame.columns else [""] * len(texts)
    return [clean(f"{title} {text}").strip() for title, text in zip(titles, texts, strict=True)]
