from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from ance_ir.errors import IndexingError
from ance_ir.typed_json import read_typed, type_fault


class Inner(TypedDict):
    rows: int
    note: NotRequired[str | None]


@dataclasses.dataclass
class Settings:
    length: int
    names: tuple[str, ...] = ()


class Outer(TypedDict):
    kind: Literal["a", "b"]
    share: float
    on: bool
    parts: list[Inner]
    counts: dict[str, int]
    settings: Settings


GOOD = {"kind": "a", "share": 1, "on": True, "parts": [{"rows": 3, "note": None}], "counts": {"x": 1}, "settings": {"length": 2}, "more": 0}


def test_what_is_of_the_type() -> None:
    assert type_fault(GOOD, Outer) == ""


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("kind", "c"),
        ("share", float("inf")),
        ("share", "1"),
        ("on", 1),
        ("parts", {}),
        ("parts[0].rows", [{"rows": True}]),
        ("parts[0].rows", [{"rows": 2**63}]),
        ("parts[0]", [{}]),
        ("parts[0].note", [{"rows": 1, "note": "\ud800"}]),
        ("counts.x", {"x": 1.5}),
        ("settings", {"names": []}),
        ("settings.names[0]", {"length": 1, "names": [None]}),
    ],
)
def test_what_is_not_is_named(where: str, value: Any) -> None:
    assert f"under {where}" in type_fault({**GOOD, where.split(".")[0].split("[")[0]: value}, Outer)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"rows": ' + b"9" * 5000 + b"}", b'"\xff"', b'{"rows": null}'])
def test_a_file_that_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(IndexingError, match=r"x\.json"):
        read_typed(tmp_path / "x.json", Inner, error=IndexingError, remedy="build it again")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_typed(tmp_path / "x.json", Inner, error=IndexingError, remedy="build it again")
    (tmp_path / "x.json").write_text(json.dumps({"rows": 1}), encoding="utf-8")
    assert read_typed(tmp_path / "x.json", Inner, error=IndexingError, remedy="build it again") == {"rows": 1}
