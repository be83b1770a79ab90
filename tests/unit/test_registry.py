"""A registry lists the modules of a package, imports one when it is asked for, and names what it has when it has not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ance_ir.errors import UsageError
from ance_ir.registry import Registry


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    folder = tmp_path / "some_fruits" / "inner"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "red_apple.py").write_text('"""An apple.\n\nRed."""\nFRUIT = "apple"\n')
    (folder / "plum.py").write_text('"""A plum."""\nSTONE = dict(leaf=1)\nFRUIT = dict(stone=STONE)\n')
    (folder / "banana.py").write_text('"""It cannot be imported."""\nraise RuntimeError\n')
    (folder / "_peel.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("fruit", "some_fruits.inner", "FRUIT")
    for name in [name for name in sys.modules if name.startswith("some_fruits")]:
        del sys.modules[name]


def test_names_and_summaries_need_no_import(fruits: Registry[str]) -> None:
    assert list(fruits) == ["banana", "plum", "red-apple"]
    assert len(fruits) == 3
    assert fruits.summary("banana") == "It cannot be imported"
    assert [name for name in fruits if fruits.gives(name, "stone")] == ["plum"]
    assert not any(fruits.gives(name, "leaf") for name in fruits)
    assert "some_fruits.inner.banana" not in sys.modules


def test_an_entry_is_imported_when_it_is_asked_for(fruits: Registry[str]) -> None:
    assert fruits["red-apple"] == fruits.find("red-apple") == "apple"
    assert "red-apple" in fruits
    assert "peel" not in fruits


def test_an_unknown_name_is_refused_with_the_nearest_and_all(fruits: Registry[str]) -> None:
    with pytest.raises(UsageError, match=r"fruit 'red-aple'.*'red-apple'.*banana, plum, red-apple"):
        fruits.find("red-aple")
    with pytest.raises(UsageError, match="fruit 7"):
        fruits.check(7)
    with pytest.raises(KeyError):
        fruits["cherry"]
