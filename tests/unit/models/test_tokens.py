"""Token ids in flat arrays: the same as lists of them, and what the library gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ance_ir.indexes import FirstP
from ance_ir.models.text.settings import Text
from ance_ir.models.text.tokens import Tokens, token_windows
from tests.tiny import WORDS, Kind, encoder

TOKENS = st.lists(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), max_size=3), max_size=30)


@given(TOKENS, st.integers(0, 30))
def test_tokens_are_those_of_the_lists(texts: list[list[list[int]]], place: int) -> None:
    tokens = Tokens.of(texts)
    assert tokens.lists() == texts
    assert (str(tokens.ids_T.dtype), str(tokens.lengths_P.dtype), str(tokens.counts_N.dtype)) == ("int32", "int64", "int64")
    assert tokens.ends_N.tolist() == np.cumsum([sum(map(len, passages)) for passages in texts]).tolist()
    first, others = tokens.split(place)
    assert (first.lists(), others.lists()) == (texts[:place], texts[place:])
    assert Tokens.join([first, others]).lists() == texts


@given(TOKENS, st.integers(1, 40), st.integers(1, 9))
@example([[[1, 2]], [[3]], [[4, 5]]], 2, 1)
def test_windows_hold_every_text_in_order_however_they_come(texts: list[list[list[int]]], tokens: int, size: int) -> None:
    windows = [one.lists() for one in token_windows((Tokens.of(texts[i : i + size]) for i in range(0, len(texts), size)), tokens)]
    assert [passages for window in windows for passages in window] == texts
    assert all(windows)

    def length(window: list[list[list[int]]]) -> int:
        return sum(len(passage) for passages in window for passage in passages)

    for window in windows[:-1]:
        assert length(window) >= tokens > length(window[:-1])


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("options", [{}, {"title_pair": True}, {"lower_case": True, "passage_prefix": "the "}], ids=str)
def test_ids_are_those_of_transformers(kind: Kind, options: dict[str, Any]) -> None:
    tokenizer = encoder(kind, text={"passage_length": 16, **options}).tokenizer
    texts: list[Text] = ["", "größe 日本 <s> [SEP] ", *(" ".join(WORDS[:count]) for count in range(0, 40, 7))]
    if "title_pair" in options:
        texts += [("a cat", text) for text in texts if isinstance(text, str)] + [(" ".join(WORDS[:30]), "a dog")]
    found = tokenizer.passages(texts)
    for text, ids in zip(texts, found, strict=True):
        clean = [[tokenizer.clean(part)] for part in (text if isinstance(text, tuple) else (tokenizer.settings.passage_prefix + text,))]
        assert ids == tokenizer.tokenizer(*clean, truncation=True, max_length=16)["input_ids"][0]
    assert [passages[0] for passages in tokenizer.cut(texts, FirstP()).lists()] == found
    assert tokenizer.bare(["the cat", ""]) == [tokenizer.tokenizer("the cat", add_special_tokens=False)["input_ids"], []]
