"""Figures that others publish: what the files hold, and where they are shown."""

from __future__ import annotations

from pathlib import Path

import ir_datasets
import pandas as pd
import pytest

from ance_ir import registries
from ance_ir.datasets import load_dataset
from ance_ir.errors import DatasetError
from ance_ir.eval import evaluate_systems, parse_measures, published_for, published_on, published_table, published_tables, write_report
from ance_ir.eval.published._reader import published_figures, read_publication
from ance_ir.eval.suites import SUITES
from tests.command import Run

WIKIPEDIA = {"nq", "triviaqa"}
"""Test questions that are in no catalogue."""

TABLE = '[[tables]]\ndataset = "x"\nmeasures = ["RR@10"]\n[tables.systems]\nS = [{}]\n'


@pytest.mark.parametrize("name", registries.PUBLICATIONS)
def test_a_publication_can_be_compared_with(name: str) -> None:
    figures = read_publication(registries.PUBLICATIONS[name])
    parse_measures({measure for figure in figures for measure in figure.values})
    for figure in figures:
        assert all(0 < value <= 1 for value in figure.values.values()), "shares, not percent"
        if figure.dataset not in WIKIPEDIA:
            queries = ir_datasets.load(figure.dataset)
            assert queries.has_queries() and queries.has_docs(), figure.dataset


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ("tables = 1", "tables"),
        ("[[tables]", "TOML"),
        (TABLE.format("0.1, 0.2"), "1 values, found 2"),
        (TABLE.format(0.1) + TABLE.format(0.2), r"RR@10"),
        (TABLE.format('"high"'), "high"),
    ],
)
def test_a_file_that_is_none_of_a_publication(tmp_path: Path, tables: str, fault: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'describes = "X"\nsource = "x.org"\n{tables}')
    with pytest.raises(DatasetError, match=fault) as raised:
        read_publication(path)
    assert str(path) in str(raised.value)


def test_the_published_figures_of_a_suite_are_listed(run: Run) -> None:
    status, shown, _ = run("suites")
    assert status == 0
    assert all(figure.stated_in in shown for figure in published_for(SUITES["trec-dl-2019/passage"]))
    shown = shown.split("trec-dl-2019/passage:")[1].split("trec-dl-2020")[0]
    row = next(line.split() for line in shown.splitlines() if "ANCE FirstP " in line and "Pyserini" in line)
    assert [cell for cell in row[3:] if cell != "–"] == ["0.6452", "0.3710", "0.7554"]


def test_many_datasets_are_rows_of_a_table_for_each_publication() -> None:
    tables = {table.header[0]: table for table in published_tables(published_for(SUITES["beir"]))}
    assert {"Pyserini, nDCG@10", "MTEB, nDCG@10", "Thakur et al. 2021, nDCG@10"} == set(tables)
    for source, value in (("Pyserini", "0.6789"), ("Thakur et al. 2021", "0.665")):
        table = tables[f"{source}, nDCG@10"]
        row = next(row for row in table.rows if row[0] == "beir/scifact")
        assert dict(zip(table.header, row, strict=True))["BM25"] == value
    assert len(tables["MTEB, nDCG@10"].rows) == 25


def test_a_report_shows_the_published_figures(tmp_path: Path) -> None:
    queries = pd.DataFrame({"qid": ["q"], "query": ["a"]})
    qrels = pd.DataFrame({"qid": ["q"], "docno": ["d"], "label": [1]})
    run = pd.DataFrame({"qid": ["q"], "docno": ["d"], "score": [1.0], "rank": [0]})
    found = evaluate_systems({}, queries, qrels, ["RR@10"], runs={"mine": run})
    figures = published_on(load_dataset("msmarco-passage/dev/small"))
    write_report(tmp_path / "page.html", found, queries, title="t", published=published_table(figures))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<th scope="row">ANCE FirstP</th><td class="text">Pyserini</td>' in page
    write_report(tmp_path / "page.html", found, queries, title="t")
    assert "Pyserini" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_every_figure_says_where_it_is_from() -> None:
    assert {figure.publication for figure in published_figures()} == set(registries.PUBLICATIONS)
    assert all("https://" in figure.stated_in for figure in published_figures())
