"""What the files of published rerankers do not say of themselves: by name, else by the type of the model, with a warning."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.models.loading.source import bare_name

logger = logging.getLogger(__name__)

QWEN3 = MappingProxyType(
    {
        "template": "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
        'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {query}\n'
        "<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "instruction": "Given a web search query, retrieve relevant passages that answer the query",
        "answers": ("yes", "no"),
        "pair_length": 8192,
    }
)
"""The card of Qwen/Qwen3-Reranker-0.6B."""


def _mono(relevant: str, other: str) -> Mapping[str, Any]:
    return MappingProxyType(
        {"template": "Query: {query} Document: {document} Relevant:", "answers": (relevant, other), "score": "log-probability"}
    )


MONO_T5, _YES_NO, _SIM_NAO = _mono("▁true", "▁false"), _mono("▁yes", "▁no"), _mono("▁sim", "▁não")
"""Nogueira et al., "Document Ranking with a Pretrained Sequence-to-Sequence Model" (Findings of EMNLP 2020), and the table of tokens in
castorini/pygaggle, pygaggle/rerank/transformer.py."""

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys((f"Qwen/Qwen3-Reranker-{size}" for size in ("0.6B", "4B", "8B")), QWEN3),
    **dict.fromkeys(
        (
            *(f"castorini/monot5-{size}-msmarco{steps}" for size in ("small", "base", "large", "3b") for steps in ("", "-10k", "-100k")),
            *(f"castorini/monot5-{size}-med-msmarco" for size in ("base", "3b")),
            *(f"unicamp-dl/InRanker-{size}" for size in ("small", "base", "3B")),
        ),
        MONO_T5,
    ),
    **dict.fromkeys(
        (f"unicamp-dl/mt5-base-{data}" for data in ("en-msmarco", "en-pt-msmarco-v1", "en-pt-msmarco-v2", "mmarco-v1", "mmarco-v2")),
        _YES_NO,
    ),
    **dict.fromkeys(
        (
            *(f"unicamp-dl/ptt5-base-pt-msmarco-{steps}-{version}" for steps in ("10k", "100k") for version in ("v1", "v2")),
            "unicamp-dl/ptt5-base-en-pt-msmarco-10k-v1",
            "unicamp-dl/ptt5-base-en-pt-msmarco-100k-v2",
        ),
        _SIM_NAO,
    ),
    **dict.fromkeys(("unicamp-dl/mt5-3B-mmarco-en-pt", "unicamp-dl/mt5-13b-mmarco-100k"), _mono("▁true", "▁")),
}
"""Settings by whole names."""

USUAL: Mapping[str, Mapping[str, Any]] = {"qwen3": QWEN3, "t5": MONO_T5, "mt5": _YES_NO}
"""Settings by the type of the model: what most rerankers of that type were trained with."""


def published_settings(name: str, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a checkpoint that does not say how it reads a pair; none where the caller says it.

    Args:
        name: of the checkpoint.
        kind: the type of its model.
        asked: the caller's settings.

    Raises:
        ModelError: it is in neither table.
    """
    published = PUBLISHED.get(bare_name(name))
    if published or asked.get("template"):
        return published or {}
    remedy = "template= (with {query} and {document} in it) and answers= say it"
    if kind not in USUAL:
        raise ModelError(f"{name} does not say how it reads a pair, and there is no usual way for a model of the type {kind}; {remedy}")
    logger.warning(
        "%s does not say how it reads a pair; most of its type (%s) read it as %r; %s", name, kind, USUAL[kind]["template"], remedy
    )
    return USUAL[kind]
