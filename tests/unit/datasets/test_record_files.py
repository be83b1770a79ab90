"""Files of records that are not one object a line: JSON in lists and over several lines, read in pieces; blank lines among columns."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets.tables import json as json_files
from ance_ir.datasets.tables import open_table
from ance_ir.errors import MalformedFileError
from tests.compressed import COMPRESS

RECORDS = [{"id": str(number), "text": f'a "text" of größe, {"long" * (number % 50)}', "more": [{"n": number}]} for number in range(500)]


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ending", ["", ".xz"])
def test_a_list_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: Any, ending: str) -> None:
    monkeypatch.setattr(json_files, "_CHUNK", chunk)
    content = json.dumps(RECORDS[:60] if chunk == 1 else RECORDS, indent=indent, ensure_ascii=False).encode()
    (tmp_path / f"x.json{ending}").write_bytes(COMPRESS[ending](content) if ending else content)
    found = [values for _, values in open_table(tmp_path / f"x.json{ending}")]
    assert found == json.loads(content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('[{"a": 1}, {"a": 1, "a": 2}]', "line 2.*'a' comes twice"),
        ('[{"a": 1}, {"a": "\\ud800"}]', "line 2.*surrogate"),
        ('[{"a": 1}, 7]', "line 2.*7"),
        ('[{"a": 1},\n', "line 2.*cut"),
        ("[", "line 1.*cut"),
        ('[{"a": 1}, {"a": "x]', "line 2.*nterminated"),
        ('[{"a": 1}, {"a": ' + "[" * 100_000 + "]", "line 2.*deep"),
    ],
)
def test_what_is_wrong_in_a_list_is_named(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(MalformedFileError, match=rf"x\.json, {found}"):
        list(open_table(tmp_path / "x.json"))


def test_an_object_that_never_ends_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "LONGEST", 100_000)
    monkeypatch.setattr(json_files, "_CHUNK", 1000)
    (tmp_path / "x.json").write_text('[{"a": "' + "a" * 5_000_000, encoding="utf-8")
    reads: list[int] = []
    scan = json_files.scan
    monkeypatch.setattr(json_files, "scan", lambda text, start: (reads.append(len(text)), scan(text, start))[1])
    with pytest.raises(MalformedFileError, match=r"x\.json, line 1"):
        list(open_table(tmp_path / "x.json"))
    assert max(reads) < 1_000_000


def test_a_list_is_read_at_half_the_speed_of_its_lines_at_least(tmp_path: Path) -> None:
    records = RECORDS * 20
    (tmp_path / "x.json").write_text(json.dumps(records), encoding="utf-8")
    lines = [json.dumps(record) for record in records]
    times = {"list": 1e9, "lines": 1e9}
    for _ in range(5):
        start = time.process_time()
        for line in lines:
            json.loads(line)
        times["lines"] = min(times["lines"], time.process_time() - start)
        start = time.process_time()
        assert sum(1 for _ in open_table(tmp_path / "x.json")) == len(records)
        times["list"] = min(times["list"], time.process_time() - start)
    assert times["lines"] / times["list"] > 0.5


@pytest.mark.parametrize("name", ["x.tsv", "x.csv"])
def test_blank_lines_in_files_of_columns_are_no_rows(tmp_path: Path, name: str) -> None:
    separator = "\t" if name == "x.tsv" else ","
    (tmp_path / name).write_text(f"\n\nid{separator}text\n\n1{separator}a\n\n")
    assert [values for _, values in open_table(tmp_path / name)] == [{"id": "1", "text": "a"}]
    (tmp_path / name).write_text("\n" * 100)
    assert list(open_table(tmp_path / name)) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_the_line_of_names_says_what_separates_columns(tmp_path: Path, name: str, delimiter: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / name).write_text(f'\n"id"{delimiter}text\n1{delimiter}"a, b; c\td"\n')
    assert open_table(tmp_path / name).first() == {"id": "1", "text": "a, b; c\td"}
    assert not caplog.text  # where a file is only recognised
    assert [values for _, values in open_table(tmp_path / name)] == [{"id": "1", "text": "a, b; c\td"}]
    assert (name in caplog.text) == (delimiter != {"x.csv": ",", "x.tsv": "\t"}[name])


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.json"])
@pytest.mark.parametrize("before", [1, 5000])  # more than is decoded at once
def test_another_encoding_is_named_with_its_line(tmp_path: Path, name: str, before: int) -> None:
    start, row, end = {
        "x.csv": ("id,text\n", '{},"caf{}"\n', ""),
        "x.tsv": ("id\ttext\n", "{}\tcaf{}\n", ""),
        "x.jsonl": ("\n", '{{"id": {}, "text": "caf{}"}}\n', ""),
        "x.json": ("[\n", '{{"id": {}, "text": "caf{}"}},\n', '{"id": 0}]'),
    }[name]
    rows = [row.format(number, "é" if number == before else "e") for number in range(before + 5)]
    (tmp_path / name).write_bytes("".join([start, *rows, end]).encode("latin-1"))
    with pytest.raises(MalformedFileError, match=rf"{name}, line {before + 2}: .*UTF-8.*café.*iconv"):
        list(open_table(tmp_path / name))
    (tmp_path / name).write_bytes("".join([start, *rows, end]).encode("utf-16"))
    with pytest.raises(MalformedFileError, match=rf"{name}, line 1: .*UTF-8.*UTF-16.*iconv"):
        list(open_table(tmp_path / name))


def test_a_list_that_is_cut_says_so(tmp_path: Path) -> None:
    whole = '[{"id": "1", "text": "a"},\n {"id": "2", "text": "b"}]'
    for left in range(3, len(whole) - 1):
        (tmp_path / "x.json").write_text(whole[:left])
        with pytest.raises(MalformedFileError, match=r"x\.json, line [123]: .*cut"):
            list(open_table(tmp_path / "x.json"))
