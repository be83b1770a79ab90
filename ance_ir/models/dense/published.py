"""What the files of published checkpoints do not say of themselves, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ance_ir.models.dense.tower import Similarity


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A published checkpoint.

    Attributes:
        text: its ``TextSettings``, where they differ from those of its layout.
        partner: the name of its other tower.
        passages: how its documents were cut, as ``ance-ir index --passages`` takes it.
        pooling: of a bare backbone.
        similarity: of a bare backbone, or of a sentence-transformers folder that does not say it.
    """

    text: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    partner: str | None = None
    passages: str = "firstp"
    pooling: str | None = None
    similarity: Similarity | None = None


_DOCUMENT = MappingProxyType({"fields": ("url", "title", "text"), "separator": "<sep>"})


def _pair(question: str, context: str) -> dict[str, Published]:
    return {question: Published(partner=context), context: Published(partner=question)}


_MEAN_DOT, _FIRST_DOT = Published(pooling="mean", similarity="dot"), Published(pooling="cls", similarity="dot")

PUBLISHED: Mapping[str, Published] = {
    "castorini/ance-msmarco-doc-firstp": Published(text=_DOCUMENT),
    "castorini/ance-msmarco-doc-maxp": Published(text=_DOCUMENT, passages="maxp:512,4"),
    **_pair("castorini/ance-dpr-question-multi", "castorini/ance-dpr-context-multi"),
    **_pair("facebook/dpr-question_encoder-single-nq-base", "facebook/dpr-ctx_encoder-single-nq-base"),
    **_pair("facebook/dpr-question_encoder-multiset-base", "facebook/dpr-ctx_encoder-multiset-base"),
    # facebookresearch/contriever, README and src/contriever.py: average over the tokens, inner product
    **dict.fromkeys(
        ("facebook/contriever", "facebook/contriever-msmarco", "facebook/mcontriever", "facebook/mcontriever-msmarco"), _MEAN_DOT
    ),
    # the model's card: "CLS vector", dot product
    "sebastian-hofstaetter/distilbert-dot-tas_b-b256-msmarco": _FIRST_DOT,
    # luyug/Condenser, and tevatron's examples/coCondenser-marco: first token, inner product
    **dict.fromkeys(
        ("Luyu/condenser", "Luyu/co-condenser-marco", "Luyu/co-condenser-wiki", "Luyu/co-condenser-marco-retriever"), _FIRST_DOT
    ),
    # staoxiao/RetroMAE, examples/retriever: first token, inner product, vectors not normalised
    **dict.fromkeys(("Shitao/RetroMAE", "Shitao/RetroMAE_BEIR", "Shitao/RetroMAE_MSMARCO", "Shitao/RetroMAE_MSMARCO_finetune"), _FIRST_DOT),
    # sentence-transformers' models for dot products, whose folders came before similarity_fn_name
    **{
        f"sentence-transformers/{name}": Published(similarity="dot")
        for name in (
            "facebook-dpr-ctx_encoder-multiset-base",
            "facebook-dpr-ctx_encoder-single-nq-base",
            "facebook-dpr-question_encoder-multiset-base",
            "facebook-dpr-question_encoder-single-nq-base",
            "msmarco-bert-base-dot-v5",
            "msmarco-distilbert-base-dot-prod-v3",
            "msmarco-distilbert-base-tas-b",
            "msmarco-distilbert-dot-v5",
            "msmarco-roberta-base-ance-firstp",
            "multi-qa-MiniLM-L6-dot-v1",
            "multi-qa-distilbert-dot-v1",
            "multi-qa-mpnet-base-dot-v1",
        )
    },
}
"""Whole names only. What is not here comes from the files, from the layout's usual settings, or from the caller."""
