"""Where passages lie in their texts: what stands there has the tokens of the passages."""

from __future__ import annotations

from typing import Any

import pytest

from ance_ir.indexes import Chunks, FirstP, MaxP, SlidingWindow
from ance_ir.models.text.settings import PassageScheme, Text
from tests.tiny import encoder

BODY = "The Cat, sleeps; and a king sings.  A dog runs\nof the city: who is the old queen of the river? " * 2


@pytest.mark.parametrize("scheme", [FirstP(12), MaxP(12, 3), SlidingWindow(14, 5), Chunks(12, 3)], ids=str)
@pytest.mark.parametrize("settings", [{}, {"passage_prefix": "the passage: "}, {"lower_case": True}, {"title_pair": True}], ids=str)
def test_what_stands_there_has_the_tokens_of_the_passages(scheme: PassageScheme, settings: dict[str, Any]) -> None:
    tokenizer = encoder(text=settings).tokenizer
    text: Text = ("a title", BODY) if settings.get("title_pair") else BODY
    special = set(tokenizer.tokenizer.all_special_ids)
    around = {"passage_prefix": tokenizer.bare(["the passage: "])[0], "title_pair": tokenizer.bare(["a title"])[0]}
    lead = next((around[name] for name in settings if name in around), [])
    passages = [[token for token in ids if token not in special] for ids in tokenizer.cut([text], scheme).lists()[0]]
    led = [place == 0 or not scheme.special_once for place in range(len(passages))]
    expected = [ids[len(lead) :] if first else ids for ids, first in zip(passages, led, strict=True)]
    assert [tokenizer.bare([BODY[start:end]])[0] for start, end in tokenizer.spans(text, scheme)] == expected


def test_a_text_without_tokens_has_one_empty_passage() -> None:
    assert encoder().tokenizer.spans("", MaxP(12, 3)) == [(0, 0)]
