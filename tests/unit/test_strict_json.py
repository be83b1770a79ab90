"""JSON is read as the standard library reads it, except that it is refused where a key comes twice or a string is half a surrogate pair."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.strict_json import loads, scan

STRINGS = st.text(st.sampled_from(['"', "\\", "u", "d", "D", "8", "0", ":", "a", "é", "😀", "\n", " "]), max_size=6)
VALUES: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), STRINGS, st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(STRINGS, inner, max_size=3)),
    max_leaves=8,
)


def reference(text: str) -> Any:
    """What the standard library makes of it; ValueError where a key comes twice or UTF-8 cannot encode a string."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=once)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def same(text: str) -> None:
    try:
        expected = reference(text)
    except ValueError:
        for read in (scan, loads):
            with pytest.raises(ValueError, match=r"."):
                read(text)
    else:
        assert scan(text) == (expected, len(text))
        assert loads(f" \n{text}\t\r ") == expected
        with pytest.raises(json.JSONDecodeError, match="Extra data"):
            loads(f"{text} 1")


@given(st.dictionaries(STRINGS, VALUES, max_size=4), st.booleans())
def test_objects(value: dict[str, Any], ascii: bool) -> None:
    same(json.dumps(value, ensure_ascii=ascii))


@st.composite
def with_repetitions(draw: st.DrawFn) -> str:
    """An object, its keys and values written one by one, so that keys may come twice and escapes be anything."""
    parts = st.sampled_from(['\\"', "\\\\", "\\u0022", "\\ud83d", "\\uDE00", "\\u005c", "a", "b", ":", "\\n"])
    string = st.lists(parts, max_size=3).map(lambda some: '"' + "".join(some) + '"')
    value = st.one_of(
        string, st.sampled_from(["1", "null", "[]", "{}"]), st.tuples(string, string).map(lambda two: f"{{{two[0]}:{two[1]}}}")
    )
    pairs = draw(st.lists(st.tuples(string, value), max_size=4))
    return "{" + draw(st.sampled_from([", ", ","])).join(f"{key}{draw(st.sampled_from([':', ' : ']))}{one}" for key, one in pairs) + "}"


@given(with_repetitions())
def test_keys_that_come_twice_and_escapes(text: str) -> None:
    same(text)


@pytest.mark.parametrize(
    "text",
    [
        r'{"a": 1, "a": 2}',
        r'{"a\\": "x\\", "b": 1, "b": 2}',
        r'{"a": {"b": [{"c": 1, "c": "x"}]}}',
        r'{"a": "\"", "\u0061": "\""}',
        r'{"a": "\ud83d"}',
        r'{"\uDE00": 1}',
        r'{"a": ["\uD83d\\ude00"]}',
    ],
)
def test_what_only_looks_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        reference(text)
    same(text)


@pytest.mark.parametrize("text", ["", " ", "{", '{"a": 1', "[1, 2", '{"a": "\\x"}', '{"a" 1}', "nothing"])
def test_what_is_no_json(text: str) -> None:
    for read in (loads, scan):
        with pytest.raises(json.JSONDecodeError):
            read(text)


@pytest.mark.parametrize("text", ['{"a": ' * 100_000, "[" * 100_000, '{"a": ' + "1" * 5000 + "}", '{"a": ' + "[" * 900 + "]" * 900 + "}"])
def test_what_is_too_much_is_a_value_error_if_anything(text: str) -> None:
    try:
        scan(text)
    except ValueError as error:
        assert str(error)


def test_a_value_within_a_text() -> None:
    text = 'x {"a": "b"} {"c": "d"}'
    assert scan(text, 2) == ({"a": "b"}, 12)
    assert scan(text, 13) == ({"c": "d"}, len(text))


def test_it_is_faster_than_half_the_standard_library() -> None:
    """Over the lines of a corpus with titles, metadata and escapes."""
    texts = [
        json.dumps({"_id": f"d{number}", "title": f"Title {number}", "text": f'Größe “{number}” "said" ' * 20, "metadata": {}})
        for number in range(3000)
    ]
    times = {}
    for name, read in (("ours", scan), ("json", json.loads)) * 5:
        start = time.process_time()
        for text in texts:
            read(text)
        times[name] = min(times.get(name, 1e9), time.process_time() - start)
    assert times["json"] / times["ours"] > 0.5
