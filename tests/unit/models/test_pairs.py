"""Token ids of pairs are those of the fast tokeniser; queries are not cut before documents."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow
from ance_ir.models.cross.pairs import JoinedPairs, PairSettings
from tests.tiny import POSITIONS, Architecture, bert_tokenizer, pair_tokenizer

KINDS: list[Architecture] = ["bert", "roberta"]
QUERIES = ["", "  ", "king", "what is a cat", "the Queen of the RIVER", "日本", "שלום", "a\ud800b", "who?\n\tx"]
TEXTS = [*QUERIES, "the moon and the star " * 30, "\udfff", "日" * 300, "a\x00b"]


def _tokenizer(kind: Architecture, **settings: Any) -> JoinedPairs:
    return JoinedPairs(pair_tokenizer(kind), PairSettings(**{"pair_length": 32, **settings}), POSITIONS, token_types=kind == "bert")


def _clean(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [24, 32, POSITIONS])
@pytest.mark.parametrize("lower_case", [False, True])
def test_ids_and_types_are_those_of_the_tokeniser(kind: Architecture, length: int, lower_case: bool) -> None:
    pairs = [(query, text) for query in QUERIES for text in TEXTS]
    ours = _tokenizer(kind, pair_length=length, query_length=length, lower_case=lower_case)
    found = ours.pairs(*zip(*pairs, strict=True))
    checked = 0
    for (query, text), (pair,) in zip(pairs, found, strict=True):
        query, text = (_clean(part).lower() if lower_case else _clean(part) for part in (query, text))
        if len(pair_tokenizer(kind)(query, add_special_tokens=False)["input_ids"]) >= length - 4:
            continue
        # as lists, since alone an empty second text would be taken for none
        expected = pair_tokenizer(kind)([query], [text], truncation="only_second", max_length=length, return_token_type_ids=True)
        assert pair.ids == expected["input_ids"][0]
        if kind == "bert":
            _, _, types = ours.pad([pair])
            assert types is not None
            assert types[0].tolist() == expected["token_type_ids"][0]
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("text", ["x" * 100_000, "cat " * 25_000])
def test_long_texts(text: str) -> None:
    ((pair,),) = _tokenizer("bert").pairs(["king"], [text])
    assert pair.ids == pair_tokenizer("bert")("king", text, truncation="only_second", max_length=32)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_is_cut_only_for_its_own_length_or_the_pairs_room(kind: Architecture) -> None:
    query, text = "king " * 100, "moon " * 100
    special = pair_tokenizer(kind).num_special_tokens_to_add(pair=True)
    asked, read = (pair_tokenizer(kind)(part, add_special_tokens=False)["input_ids"] for part in (query, text))

    def cut(**settings: Any) -> tuple[list[int], int]:
        ((pair,),) = _tokenizer(kind, **settings).pairs([query], [text])
        return pair.ids, sum(token in read for token in pair.ids)

    for told, kept in [({}, 16), ({"query_length": 5}, 5), ({"query_length": 1000}, 32 - special - 1)]:
        ids, of_text = cut(**told)
        assert len(ids) == 32
        assert ids[1 : 1 + kept] == asked[:kept]
        assert of_text == 32 - special - kept, "the rest is the document's"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [FirstP(), FirstP(20), MaxP(20, 3), MaxP(None, 2), SlidingWindow(20, 4)], ids=repr)
def test_each_passage_has_the_query_and_special_tokens_of_its_own(kind: Architecture, scheme: Any) -> None:
    query, text = "the king", " ".join(["red moon", "old star", "a city in the river", "green fish"] * 3)
    ours = _tokenizer(kind)
    (pairs,) = ours.pairs([query], [text], scheme)
    empty = pair_tokenizer(kind)([query], [""])["input_ids"][0]
    ids = pair_tokenizer(kind)(text, add_special_tokens=False)["input_ids"]
    first, last = empty[:-1], empty[-1:]
    room = (scheme.length or 32) - len(empty)
    assert [pair.ids for pair in pairs] == [[*first, *ids[start:end], *last] for start, end in scheme.windows(len(ids), room)]
    assert len(pairs) == {"FirstP": 1, "MaxP": scheme.__dict__.get("count"), "SlidingWindow": len(pairs)}[type(scheme).__name__]


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(20, 3), SlidingWindow(20, 4)], ids=repr)
def test_there_are_no_ghosts(scheme: Any) -> None:
    for text in ("", " ", "\n"):
        (pairs,) = _tokenizer("bert").pairs(["king"], [text], scheme)
        assert [pair.ids for pair in pairs] == pair_tokenizer("bert")(["king"], [""])["input_ids"]
    (pairs,) = _tokenizer("bert").pairs(["king"], ["moon star"], scheme)
    assert len(pairs) == 1


def test_first_passage_is_the_pair_cut_where_it_is_full() -> None:
    queries, texts = ["king"] * 3, ["moon " * 100, "", "star"]
    ours = _tokenizer("bert")
    assert ours.pairs(queries, texts, FirstP()) == ours.pairs(queries, texts)


def test_padding_has_type_0_and_no_mask() -> None:
    ours = _tokenizer("bert")
    pairs = [pair for (pair,) in ours.pairs(["king", "the queen of"], ["moon", "red blue green fish"])]
    ids, mask, types = ours.pad(pairs)
    together = pair_tokenizer("bert")(["king", "the queen of"], ["moon", "red blue green fish"], padding=True, return_tensors="pt")
    assert torch.equal(ids, together["input_ids"])
    assert torch.equal(mask, together["attention_mask"])
    assert types is not None
    assert torch.equal(types, together["token_type_ids"])
    assert _tokenizer("roberta").pad(_tokenizer("roberta").pairs(["a"], ["b"])[0])[2] is None


def test_settings_of_text() -> None:
    ours = _tokenizer("bert", query_prefix="query ", max_characters=8)
    ((pair,),) = ours.pairs(["king"], ["moon and star"])
    assert pair.ids == pair_tokenizer("bert")("query ki", "moon and")["input_ids"]
    ((pair,),) = ours.pairs(["a"], ["moon and star"], SlidingWindow(20, 4))
    assert pair.ids == pair_tokenizer("bert")("query a", "moon and star")["input_ids"], "a scheme that covers all is not cut"
    assert PairSettings(fields=("title", "text"), separator=" | ").join({"title": "a", "text": "b", "url": "c"}) == "a | b"
    assert PairSettings().join({"title": "", "text": None}) == ""


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"pair_length": 65}, "pairs of 65 tokens are more than the 64 that the model takes"),
        ({"pair_length": 4}, "leave no room"),
        ({"query_length": 0}, "query_length is at least 1 token or None, not 0"),
        ({"fields": ("body",)}, "fields are some of"),
        ({"fields": ()}, "fields are some of"),
        ({"max_characters": 0}, "positive number or None"),
        ({"score": "softmax"}, "score 'softmax'"),
        ({"relevant_class": 2}, "relevant_class is 0 or 1, not 2"),
    ],
)
def test_settings_that_cannot_be_meant(told: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _tokenizer("bert", **told)


def test_schemes_that_the_model_cannot_take() -> None:
    with pytest.raises(UsageError, match="pairs of 100 tokens are more than the 64"):
        _tokenizer("bert").pairs(["a"], ["b"], MaxP(100, 2))


def test_a_slow_tokeniser_is_refused() -> None:
    class Slow:
        is_fast = False
        name_or_path = "slow"

    with pytest.raises(ModelError, match=r"tokenizer.json.*Slow"):
        JoinedPairs(Slow(), PairSettings(), 64, token_types=False)  # type: ignore[arg-type]


def test_a_tokeniser_without_types_for_pairs_is_used_as_it_is() -> None:
    tokenizer = JoinedPairs(bert_tokenizer(), PairSettings(pair_length=16), POSITIONS, token_types=False)
    assert tokenizer.pad(tokenizer.pairs(["a"], ["b"])[0])[2] is None
