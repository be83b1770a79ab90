"""What the files of published checkpoints do not say of themselves, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A published checkpoint.

    Attributes:
        text: its ``TextSettings``, where they differ from those of its layout.
        partner: the name of its other tower.
        passages: how its documents were cut, as ``ance-ir index --passages`` takes it.
    """

    text: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    partner: str | None = None
    passages: str = "firstp"


_DOCUMENT = MappingProxyType({"fields": ("url", "title", "text"), "separator": "<sep>"})


def _pair(question: str, context: str) -> dict[str, Published]:
    return {question: Published(partner=context), context: Published(partner=question)}


PUBLISHED: Mapping[str, Published] = {
    "castorini/ance-msmarco-doc-firstp": Published(text=_DOCUMENT),
    "castorini/ance-msmarco-doc-maxp": Published(text=_DOCUMENT, passages="maxp:512,4"),
    **_pair("castorini/ance-dpr-question-multi", "castorini/ance-dpr-context-multi"),
    **_pair("facebook/dpr-question_encoder-single-nq-base", "facebook/dpr-ctx_encoder-single-nq-base"),
    **_pair("facebook/dpr-question_encoder-multiset-base", "facebook/dpr-ctx_encoder-multiset-base"),
}
"""Whole names only; what is not here is told by the files, by the layout's usual settings, or by the caller."""
