from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ance_ir.errors import EvaluationError, MalformedFileError
from ance_ir.eval import read_run, write_run

RUN = pd.DataFrame(
    [("q2", "a", 1.5), ("q2", "b", 1.5), ("q1", "é", -0.25), ("q2", "c", 7.0)],
    columns=["qid", "docno", "score"],
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["run.txt", "run.txt.gz"])
def test_a_run_is_written_ranked_and_read_again(tmp_path: Path, name: str) -> None:
    write_run(RUN, tmp_path / name, "bm25")
    content = (tmp_path / name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    assert text.splitlines() == ["q2 Q0 c 1 7.0 bm25", "q2 Q0 b 2 1.5 bm25", "q2 Q0 a 3 1.5 bm25", "q1 Q0 é 1 -0.25 bm25"]
    again = read_run(tmp_path / name)
    assert list(again.columns) == ["qid", "docno", "score", "rank"]
    assert again["docno"].tolist() == ["c", "b", "a", "é"]
    assert again["rank"].tolist() == [0, 1, 2, 0]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_survive_to_the_last_bit(tmp_path: Path, dtype: type) -> None:
    random = np.random.default_rng(0)
    scores = (random.standard_normal(2000) * 10.0 ** random.integers(-30, 30, 2000)).astype(dtype)
    write_run(pd.DataFrame({"qid": "q", "docno": [f"d{i}" for i in range(2000)], "score": scores}), tmp_path / "run", "x")
    again = read_run(tmp_path / "run").set_index("docno")["score"]
    assert np.array_equal(again[[f"d{i}" for i in range(2000)]].to_numpy().astype(dtype), scores)


def test_the_order_is_that_of_the_scores_not_of_the_ranks(tmp_path: Path) -> None:
    path = write(tmp_path / "run", "1 Q0 a 1 0.5 t\n1 Q0 b 2 9 t\n1\tQ0\tc\t3\t9\tt\n")
    assert read_run(path)["docno"].tolist() == ["c", "b", "a"]


def test_ranks_that_contradict_scores_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agreeing = "1 Q0 a 1 0.5 t\n1 Q0 b 2 0.5 t\n2 Q0 a 2 0.1 t\n2 Q0 c 1 0.7 t\n3 Q0 a 0 1 t\n3 Q0 b 0 2 t\n4 Q0 a x 1 t\n"
    read_run(write(tmp_path / "run", agreeing))
    assert not caplog.records
    read_run(write(tmp_path / "run", agreeing + "5 Q0 a 1 0.1 t\n5 Q0 b 2 0.2 t\n"))
    (record,) = caplog.records
    assert "1 of 5 queries" in record.getMessage()
    assert "'5'" in record.getMessage()


def test_an_empty_run_is_written_and_read(tmp_path: Path) -> None:
    write_run(RUN.head(0), tmp_path / "run", "x")
    again = read_run(tmp_path / "run", "trec")
    assert again.columns.tolist() == ["qid", "docno", "score", "rank"]
    assert again.empty


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 Q0 d 1 2.0", r"run, line 2: expected a line 'qid Q0 docno rank score tag', found '1 Q0 d 1 2.0'"),
        ("1 Q0 d 1 2.0 my tag", "line 2: expected a line"),
        ("1 Q0 d 1 high t", "line 2: expected a line"),
        ("1 Q0 d 1 1_0.5 t", "line 2: expected a line"),
        ("1 Q0 d 1 nan t", "line 2: expected a finite number as score"),
        ("1 Q0 d 1 -inf t", "line 2: expected a finite number as score"),
        ("1 Q0 a 2 1.0 t", "line 2: expected a document once for a query, found 'a again for 1'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "run", f"1 Q0 a 1 3.0 t\n{line}\n2 Q0 a 1 3.0 t\n")
    with pytest.raises(MalformedFileError, match=message):
        read_run(path)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"1 Q0 \xff 1 3.0 t\n")
    with pytest.raises(MalformedFileError, match=r"line 1: expected UTF-8, found '1 Q0"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "tag", "message"),
    [
        ({"docno": "a b"}, "t", "docno .*'a b'"),
        ({"docno": "a\u00a0b"}, "t", r"docno .*'a\\xa0b'"),
        ({"docno": ""}, "t", "docno .*''"),
        ({"qid": "1\t2"}, "t", r"qid .*'1\\t2'"),
        ({}, "my run", "cannot hold the tag 'my run'"),
        ({"score": float("nan")}, "t", "query q2: document a has no finite score"),
        ({"docno": "c", "qid": "q2"}, "t", "query q2: document c comes twice"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_nothing_written(
    tmp_path: Path, change: dict[str, object], tag: str, message: str
) -> None:
    run = RUN.copy()
    for column, value in change.items():
        run.loc[0, column] = value
    with pytest.raises(EvaluationError, match=message):
        write_run(run, tmp_path / "run", tag)
    assert list(tmp_path.iterdir()) == []


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"docno score missing.*qid query"):
        write_run(pd.DataFrame(columns=["qid", "query"]), tmp_path / "run", "t")
