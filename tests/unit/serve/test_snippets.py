from __future__ import annotations

from ance_ir.serve.snippets import LENGTH, snippet

TEXT = f"{'filler words ' * 60}the red fox met a lazy dog {'more filler ' * 60}fox"


def test_a_snippet_is_where_most_of_the_querys_words_are() -> None:
    shown = snippet(TEXT, "lazy RED foxes fox?")
    assert "red fox met a lazy dog" in shown
    assert shown.startswith("… ") and shown.endswith(" …")
    assert len(shown) <= LENGTH + 4
    assert "fox" not in snippet(TEXT, "fox", 0, 300)


def test_short_texts_and_strange_queries() -> None:
    assert snippet("a short\n\ttext", "text") == "a short text"
    assert snippet("", "x") == ""
    assert snippet("one two", "") == "one two"
    assert snippet("a (b) [c", "( [ * \\ \ud800") == "a (b) [c"
    assert snippet(TEXT, "zebra").startswith("filler words")
    assert len(snippet("x" * 5000, "y")) <= LENGTH + 4
