from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow
from ance_ir.models import PassageScheme, TextSettings
from ance_ir.models.text.settings import parse_settings
from ance_ir.models.text.tokenizing import TextTokenizer
from tests.tiny import POSITIONS, WORDS, Kind, bert_tokenizer, encoder, tokenizer_of

CLS, SEP = bert_tokenizer().convert_tokens_to_ids(["[CLS]", "[SEP]"])
TEXTS = [
    "The Cat sleeps",
    "",
    "   \n\t ",
    "日本語のテキスト",
    "שלום olam",
    "a lone \ud800 surrogate",
    "caf\u00e9 caf\u0065\u0301",
    "[CLS] the [SEP]",
    "\x00 nul \u200b",
    " ".join(WORDS * 2),
    "x " * 50_000,
]
ANY_TEXT = st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)


def tokens(*words: str) -> list[int]:
    ids: list[int] = bert_tokenizer().convert_tokens_to_ids(list(words))
    return ids


def passage(*words: str) -> list[int]:
    return [CLS, *tokens(*words), SEP]


def cut(text: str, scheme: PassageScheme, kind: Kind = "bert", **options: Any) -> list[list[int]]:
    tokenizer = TextTokenizer(tokenizer_of(kind), TextSettings(**{"query_length": 16, "passage_length": 32, **options}), POSITIONS)
    return tokenizer.cut([text], scheme).lists()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query_length": 2}, "start at 3: query_length=2"),
        ({"passage_length": 0}, "passage_length=0"),
        ({"fields": ()}, "fields are some of url, title, text, not \\(\\)"),
        ({"fields": ("body",)}, "not \\('body',\\)"),
        ({"max_characters": 0}, "positive number or None, not 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TextSettings(**options)


def test_settings_come_back_from_json() -> None:
    original = TextSettings(fields=("url", "text"), separator="</s>", max_characters=None, query_prefix="q: ")
    value = {**original.__dict__, "fields": list(original.fields)}
    assert TextSettings.from_json(value) == original


@pytest.mark.parametrize(
    ("fields", "separator", "expected"),
    [
        (("title", "text"), " ", "T x"),
        (("url", "title", "text"), "</s>", "http://u</s>T</s>x"),
        (("text", "title"), "\n", "x\nT"),
        (("text",), " ", "x"),
    ],
)
def test_fields_are_joined_in_the_given_order(fields: tuple[str, ...], separator: str, expected: str) -> None:
    document = {"docno": "d", "url": "http://u", "title": "T", "text": "x"}
    text = TextSettings(fields=fields, separator=separator)
    assert text.join(document) == expected
    assert text.join_frame(pd.DataFrame([document])) == [expected]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, ""])
def test_a_missing_title_leaves_no_separator(missing: object) -> None:
    text = TextSettings(separator="|")
    assert text.join({"docno": "d", "title": missing, "text": "x"}) == "x"
    assert text.join({"docno": "d", "text": "x"}) == "x"
    frame = pd.DataFrame({"docno": ["a", "b"], "title": pd.Series(["T", missing], dtype=object), "text": ["x", "y"]})
    assert text.join_frame(frame) == ["T|x", "y"]
    assert text.join_frame(frame.drop(columns="title")) == ["x", "y"]
    assert text.join_frame(frame.iloc[:0]) == []


@pytest.mark.parametrize(("field", "value"), [("title", 1984), ("title", True), ("text", ["x"]), ("text", 3), ("url", b"u")])
def test_a_field_of_another_type_is_refused(field: str, value: object) -> None:
    frame = pd.DataFrame({"docno": ["a", "b"], "url": ["u", None], "title": ["T", "U"], "text": ["x", "y"]})
    frame[field] = pd.Series(["x", value], dtype=object)
    with pytest.raises(UsageError, match=f"'b'.*{field}"):
        TextSettings(fields=("url", "title", "text")).join_frame(frame)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_document_to_encode_has_a_text(missing: object) -> None:
    frame = pd.DataFrame({"docno": ["a", "b"], "text": ["x", missing]})
    for read in (TextSettings().join_frame, encoder().passages().transform):
        with pytest.raises(UsageError, match="'b'"):
            read(frame)
    assert TextSettings(fields=("title",)).join_frame(frame.assign(title=["t", None])) == ["t", ""]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("prefix", ["", "passage: "])
@pytest.mark.parametrize("lower_case", [False, True])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_tokens_are_those_of_the_tokeniser(kind: Kind, prefix: str, lower_case: bool, text: str) -> None:
    tokenizer = TextTokenizer(
        tokenizer_of(kind),
        TextSettings(query_length=5, passage_length=20, query_prefix=prefix, passage_prefix=prefix, lower_case=lower_case),
        POSITIONS,
    )
    given_text = (prefix + text)[:10_000].replace("\ud800", "\ufffd")
    given_text = given_text.lower() if lower_case else given_text
    for method, length in ((tokenizer.queries, 5), (tokenizer.passages, 20)):
        expected = tokenizer_of(kind)(given_text, truncation=True, max_length=length)["input_ids"]
        assert method([text]) == [expected]
        assert len(expected) <= length
        assert method(["the", text, ""])[1] == expected
    assert tokenizer.queries([]) == tokenizer.passages([]) == tokenizer.cut([], FirstP()).lists() == []


def test_lower_casing_reaches_a_tokeniser_that_keeps_case() -> None:
    kept, lowered = (TextTokenizer(tokenizer_of("roberta"), TextSettings(lower_case=lower), 512) for lower in (False, True))
    assert kept.queries(["THE CAT"]) != kept.queries(["the cat"])
    assert lowered.queries(["THE CAT"]) == kept.queries(["the cat"])


def test_texts_are_cut_at_the_given_number_of_characters() -> None:
    text = "a" * 9_999 + " cat dog"
    limited = TextTokenizer(bert_tokenizer(), TextSettings(passage_length=60, fields=("text",)), POSITIONS)
    assert limited.settings.max_characters == 10_000
    assert limited.passages([text]) == limited.passages([text[:10_000]]) == [passage("[UNK]")]
    assert limited.cut([text], FirstP()).lists() == [[passage("[UNK]")]]
    assert limited.cut([text], SlidingWindow()).lists() == [[passage("[UNK]", "cat", "dog")]]
    unlimited = TextTokenizer(bert_tokenizer(), TextSettings(passage_length=60, max_characters=None), POSITIONS)
    assert unlimited.passages([text]) == [passage("[UNK]", "cat", "dog")]


TEN = "cat dog bird fish tree river city king queen sun"


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (FirstP(6), ["cat dog bird fish"]),
        (FirstP(), [TEN]),
        (FirstP(12), [TEN]),
        (FirstP(3), ["cat"]),
        (MaxP(6, 1), ["cat dog bird fish"]),
        (MaxP(6, 2), ["cat dog bird fish", "tree river city king"]),
        (MaxP(6, 3), ["cat dog bird fish", "tree river city king", "queen sun"]),
        (MaxP(6, 9), ["cat dog bird fish", "tree river city king", "queen sun"]),
        (MaxP(7, 4), ["cat dog bird fish tree", "river city king queen sun"]),
        (MaxP(None, 4), [TEN]),
        (SlidingWindow(6, 2), ["cat dog bird fish", "bird fish tree river", "tree river city king", "city king queen sun"]),
        (SlidingWindow(6, 3), ["cat dog bird fish", "fish tree river city", "city king queen sun"]),
        (SlidingWindow(7, 4), ["cat dog bird fish tree", "tree river city king queen", "queen sun"]),
        (SlidingWindow(6, 4), ["cat dog bird fish", "tree river city king", "queen sun"]),
        (SlidingWindow(6, 99), ["cat dog bird fish", "tree river city king", "queen sun"]),
        (SlidingWindow(12, 2), [TEN]),
        (SlidingWindow(None, 2), [TEN]),
    ],
    ids=repr,
)
def test_passages_token_by_token(scheme: PassageScheme, expected: list[str]) -> None:
    assert cut(TEN, scheme) == [passage(*part.split()) for part in expected]


def test_every_passage_has_the_prefix() -> None:
    assert cut("cat dog bird fish tree", MaxP(5, 4), passage_prefix="the ") == [
        passage("the", "cat", "dog"),
        passage("the", "bird", "fish"),
        passage("the", "tree"),
    ]


@pytest.mark.parametrize("scheme", [FirstP(8), MaxP(8, 3), SlidingWindow(8, 2)], ids=repr)
@pytest.mark.parametrize("text", ["", "  \t\n"])
@pytest.mark.parametrize("prefix", ["", "the "])
def test_a_text_without_tokens_is_one_passage(scheme: PassageScheme, text: str, prefix: str) -> None:
    assert cut(text, scheme, passage_prefix=prefix) == [passage(*prefix.split())]


@pytest.mark.parametrize("scheme", [FirstP(65), MaxP(512, 4), SlidingWindow(100, 50)], ids=repr)
def test_a_scheme_longer_than_the_model_is_refused(scheme: PassageScheme) -> None:
    with pytest.raises(UsageError, match=r"\d+ tokens.*\b64\b"):
        cut("cat", scheme)


def test_a_prefix_that_fills_the_passage_is_refused() -> None:
    assert cut("sun", FirstP(6), passage_prefix="cat dog bird ") == [passage("cat", "dog", "bird", "sun")]
    with pytest.raises(UsageError, match="no room for text"):
        cut("sun", FirstP(5), passage_prefix="cat dog bird ")


@given(ANY_TEXT, st.integers(3, 40), st.sampled_from(["bert", "roberta"]), st.booleans(), st.sampled_from(["", "passage: ", "The"]))
def test_first_p_is_what_the_model_makes_of_a_whole_passage(text: str, length: int, kind: Kind, lower_case: bool, prefix: str) -> None:
    options = TextSettings(passage_length=64, lower_case=lower_case, passage_prefix=prefix)
    tokenizer = TextTokenizer(tokenizer_of(kind), options, POSITIONS)
    length += 20 if prefix else 0
    shorter = TextTokenizer(
        tokenizer_of(kind), TextSettings(passage_length=length, lower_case=lower_case, passage_prefix=prefix), POSITIONS
    )
    assert tokenizer.cut([text], FirstP(length)).lists()[0] == shorter.passages([text])


@given(ANY_TEXT, st.integers(3, 20), st.integers(1, 6), st.integers(1, 25), st.sampled_from(["bert", "roberta"]))
def test_passages_cover_the_text(text: str, length: int, count: int, stride: int, kind: Kind) -> None:
    ids = tokenizer_of(kind)(text, add_special_tokens=False)["input_ids"]
    room = length - 2
    first, last = tokenizer_of(kind).cls_token_id, tokenizer_of(kind).sep_token_id

    def bodies(scheme: PassageScheme) -> list[list[int]]:
        passages = cut(text, scheme, kind)
        assert all(part[0] == first and part[-1] == last and len(part) <= length for part in passages)
        assert passages == [[first, last]] or all(len(part) > 2 for part in passages)
        return [part[1:-1] for part in passages]

    maxp = bodies(MaxP(length, count))
    assert list(chain(*maxp)) == ids[: count * room]
    assert len(maxp) == max(1, min(count, -(-len(ids) // room)))
    assert bodies(FirstP(length)) == [ids[:room]]

    step = min(stride, room)
    sliding = bodies(SlidingWindow(length, stride))
    assert sliding == ([ids[start : start + room] for start in range(0, step * len(sliding), step)] if ids else [[]])
    ends = [start + room for start in range(0, step * len(sliding), step)]
    assert ends[-1] >= len(ids), "the end of the text is left out"
    assert len(sliding) == 1 or ends[-2] < len(ids), "a window holds nothing new"


TITLED = TextSettings(query_length=16, passage_length=32, title_pair=True)


def test_a_title_and_its_text_are_a_pair() -> None:
    assert TITLED.join({"docno": "d", "title": "T", "text": "x"}) == ("T", "x")
    assert TITLED.join({"docno": "d", "title": "", "text": "x"}) == "x"
    assert TextSettings(title_pair=True, fields=("url", "title", "text"), separator="|").join(
        {"docno": "d", "url": "u", "title": "T", "text": "x"}
    ) == ("T", "u|x")
    assert TITLED.join_frame(pd.DataFrame({"docno": ["a", "b"], "title": ["T", None], "text": ["x", "y"]})) == [("T", "x"), "y"]


@given(ANY_TEXT, ANY_TEXT, st.integers(4, 40), st.sampled_from(["bert", "roberta"]), st.booleans(), st.sampled_from(["", "passage: "]))
def test_pairs_are_those_of_the_tokeniser(title: str, text: str, length: int, kind: Kind, lower_case: bool, prefix: str) -> None:
    length += 20 if prefix else 1
    options = TextSettings(passage_length=length, title_pair=True, lower_case=lower_case, passage_prefix=prefix)
    tokenizer = TextTokenizer(tokenizer_of(kind), options, POSITIONS)
    cleaned = [one.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for one in (prefix + title, text)]
    columns = [[one.lower() if lower_case else one] for one in cleaned]
    expected = tokenizer_of(kind)(*columns, truncation=True, max_length=length)["input_ids"][0]
    assert tokenizer.passages([(title, text)]) == [expected]
    assert tokenizer.passages([text, (title, text), ""])[1] == expected
    assert tokenizer.cut([(title, text)], FirstP()).lists() == [[expected]]
    assert tokenizer.cut(["the", (title, text), "a"], FirstP()).lists()[1] == [expected]


def test_every_passage_of_a_pair_begins_with_its_title() -> None:
    tokenizer = TextTokenizer(bert_tokenizer(), TITLED, POSITIONS)
    assert tokenizer.cut([("the moon", "cat dog bird fish tree")], MaxP(8, 4)).lists() == [
        [[*passage("the", "moon"), *tokens("cat", "dog", "bird"), SEP], [*passage("the", "moon"), *tokens("fish", "tree"), SEP]]
    ]
    assert tokenizer.cut([("the moon", "")], MaxP(8, 4)).lists() == [[[*passage("the", "moon"), SEP]]]
    long_title = tokenizer.cut([(TEN, "cat dog bird fish tree")], MaxP(9, 3)).lists()[0]
    assert long_title == [
        [*passage("cat", "dog", "bird"), *tokens(word, other, third), SEP] for word, other, third in [("cat", "dog", "bird")]
    ] + [[*passage("cat", "dog", "bird"), *tokens("fish", "tree"), SEP]]


def test_a_pair_of_very_long_texts_is_cut_at_the_given_number_of_characters() -> None:
    tokenizer = TextTokenizer(bert_tokenizer(), TITLED, POSITIONS)
    title, text = "cat " * 25_000, "a" * 9_999 + " dog"  # a long word is one token
    expected = bert_tokenizer()(title[:10_000], text[:10_000], truncation=True, max_length=32)["input_ids"]
    assert tokenizer.passages([(title, text)]) == tokenizer.cut([(title, text)], FirstP()).lists()[0] == [expected]


def test_a_pair_that_leaves_no_room_is_refused() -> None:
    tokenizer = TextTokenizer(tokenizer_of("roberta"), TITLED, POSITIONS)
    assert len(tokenizer.cut([("cat", "dog")], FirstP(5)).lists()[0][0]) == 5
    with pytest.raises(UsageError, match="passages of 4 tokens leave no room for text"):
        tokenizer.cut([("cat", "dog")], FirstP(4))


def test_a_question_mark_is_stripped_once() -> None:
    tokenizer = TextTokenizer(bert_tokenizer(), TextSettings(strip_question_mark=True), 512)
    kept = TextTokenizer(bert_tokenizer(), TextSettings(), 512)
    asked = ["who sings?", "who sings", "who sings??", "?", ""]
    assert tokenizer.queries(asked) == kept.queries(["who sings", "who sings", "who sings?", "", ""])
    assert tokenizer.passages(asked) == kept.passages(asked)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], {}),
        (["query_length=9", "separator= <sep> "], {"query_length": 9, "separator": " <sep> "}),
        (["fields=url,title", "lower_case=Yes", "title_pair=no"], {"fields": ("url", "title"), "lower_case": True, "title_pair": False}),
        (["max_characters=none", "query_prefix=a=b"], {"max_characters": None, "query_prefix": "a=b"}),
        (["max_characters=7"], {"max_characters": 7}),
    ],
)
def test_settings_from_the_command_line(told: list[str], expected: dict[str, Any]) -> None:
    assert parse_settings(told) == expected
    TextSettings(**expected)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("colour=red", r"NAME=VALUE with one of the names query_length, .*, not 'colour=red'"),
        ("lower_case", "NAME=VALUE"),
        ("lower_case=maybe", "lower_case is yes or no, not 'maybe'"),
        ("query_length=none", "query_length is a number, not 'none'"),
        ("query_length=-3", "query_length is a number, not '-3'"),
        ("max_characters=many", "max_characters is a number, not 'many'"),
    ],
)
def test_settings_that_cannot_be_are_refused(told: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_settings([told])


def test_changed_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"colour.*query_length"):
        TextSettings().changed(colour=1)


@pytest.mark.parametrize("text", ["the cat", "a"])
def test_a_slow_tokeniser_is_refused(text: str) -> None:
    class Slow:
        is_fast = False
        name_or_path = "slow"

    with pytest.raises(ModelError, match=r"tokenizer.json.*Slow") as caught:
        TextTokenizer(Slow(), TextSettings(), 512)  # type: ignore[arg-type]
    assert isinstance(caught.value, AnceError)


@pytest.mark.parametrize("name", ["query_length", "passage_length"])
def test_a_length_beyond_the_models_positions_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} 65 .*64"):
        encoder(text={name: 65})
    assert encoder("roberta", text={name: 64}).encode_queries([" ".join(WORDS)]).shape == (1, 32)
