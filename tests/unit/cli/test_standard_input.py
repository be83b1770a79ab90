"""``-`` where a file is asked for: standard input, whatever it holds, for one argument."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ance_ir.cli.main import main
from tests.compressed import COMPRESS, zipped

RECORDS = [{"_id": f"d{number}", "title": "", "text": f"a text, number {number}"} for number in range(30)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
CORPUS = b'{"docno": "d1", "text": "a"}\n'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ANCE_IR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(content: bytes, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def parquet() -> bytes:
    import pyarrow
    import pyarrow.parquet

    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), written)
    return written.getvalue()


CONTENTS = {
    "JSON lines": LINES,
    "with a mark": b"\xef\xbb\xbf" + LINES,
    "a list": json.dumps(RECORDS).encode(),
    "columns with tabs": "".join(["_id\ttitle\ttext\n", *(f"{one['_id']}\t\t{one['text']}\n" for one in RECORDS)]).encode(),
    "columns with commas": "".join(["_id,title,text\n", *(f'{one["_id"]},,"{one["text"]}"\n' for one in RECORDS)]).encode(),
    "columns with semicolons": "".join(["_id;title;text\n", *(f'{one["_id"]};;"{one["text"]}"\n' for one in RECORDS)]).encode(),
    "Parquet": parquet(),
    **{f"compressed, {ending}": compress(LINES) for ending, compress in COMPRESS.items()},
    "an archive": zipped({"pets/corpus.jsonl": LINES.replace(b"_id", b"docno"), "pets/queries.tsv": b"q1\twho\n"}),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_collection_is_converted(tmp_path: Path, cache: Path, run: Any, kind: str) -> None:
    arguments = ("convert", "-", "--format", "collection", "--out", tmp_path / "out")
    status, _, err = run(CONTENTS[kind], *arguments)
    assert (status, err.count("error")) == (0, 0), err
    found = [json.loads(line) for line in (tmp_path / "out" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["docno"], one["text"]) for one in found] == [(one["_id"], one["text"]) for one in RECORDS]
    assert not [path for path in cache.rglob("*") if "stdin" in path.name]


def test_columns_are_named_too(tmp_path: Path, run: Any) -> None:
    content = b"".join(json.dumps({"key": f"d{number}", "body": "a text"}).encode() + b"\n" for number in range(3))
    status, out, err = run(content, "info", "-", "--column", "docno=key", "--column", "text=body")
    assert status == 0, err
    assert "d0" in out


def test_a_run_is_measured(tmp_path: Path, run: Any) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_bytes(CORPUS)
    (folder / "queries.tsv").write_text("q1\twho\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\n")
    content = gzip.compress(b"q1 Q0 d1 1 2.5 bm25\n")
    for argument, name in (("-", "stdin"), ("theirs=-", "theirs")):
        status, out, err = run(content, "eval", "--dataset", folder, "--run", argument, "--measure", "RR@10")
        assert status == 0, err
        assert name in out
    status, _, err = run(content, "eval", "--dataset", folder, "--run", "a=-", "--run", "b=-")
    assert status == 2
    assert "standard input" in err


@pytest.mark.parametrize("content", [b"", b"\n", b"nothing", b"\x1f\x8b", b"PK\x03\x04", b"{", b"\xff" * 100, COMPRESS[".zst"](LINES)[:-3]])
def test_what_is_no_collection_is_refused_in_one_line(tmp_path: Path, cache: Path, run: Any, content: bytes) -> None:
    status, _, err = run(content, "convert", "-", "--format", "collection", "--out", tmp_path / "out")
    assert status == 2
    assert len(err.strip().splitlines()) == 1
    assert "stdin" in err
    assert not (tmp_path / "out").exists()
    assert not list(cache.rglob("stdin*"))
