"""The page: one file, every query with what each system made of it, every text once, nothing taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.datasets import DocumentStore
from ance_ir.eval import Evaluation, Evidence, Finding, diagnose, evaluate_systems, format_evaluation, write_report
from ance_ir.eval.rankings import evaluated_results
from ance_ir.eval.report.contents import TOP
from ance_ir.eval.report.curves import LEVELS, precision_by_recall, scores_by_rank
from ance_ir.eval.report.figures import nice_ticks
from ance_ir.eval.runs import check_run
from tests.reported import NASTY, reported

FINDINGS = [Finding(severity="warning", system="worse", what="it <i>is</i> worse", advice="do & better")]


class Page(HTMLParser):
    """What a page holds: text outside of scripts, scripts by type, what it refers to, ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.scripts, self.targets, self.ids = "", {}, list[str](), list[str]()  # type: ignore[var-annotated]
        self._type: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "script":
            self._type = told.get("type") or "text/javascript"
            assert self._type not in self.scripts
        self.ids += [told["id"] or ""] if "id" in told else []
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._type = None

    def handle_data(self, data: str) -> None:
        if self._type:
            self.scripts[self._type] = self.scripts.get(self._type, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, pd.DataFrame, str]:
    folder = tmp_path_factory.mktemp("report")
    evaluation, queries, store = reported(folder)
    write_report(folder / "deep" / "x.html", evaluation, queries, title="A & <b>", store=store, findings=FINDINGS)
    return evaluation, queries, (folder / "deep" / "x.html").read_text(encoding="utf-8")


def data_of(html: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Page(html).scripts["application/json"])
    return data


def test_the_page_needs_nothing_else_and_allows_nothing_else(told: tuple[Evaluation, pd.DataFrame, str]) -> None:
    page = Page(told[2])
    assert set(page.scripts) == {"application/json", "text/javascript"}
    assert page.targets == ["#summary", "#findings", "#queries", "#curves", "#speed"]
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"@import|url\(|https?://", told[2].replace(page.scripts["application/json"], ""))
    digest = base64.b64encode(hashlib.sha256(page.scripts["text/javascript"].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in told[2]


def test_what_is_told_stands_in_the_text(told: tuple[Evaluation, pd.DataFrame, str]) -> None:
    evaluation, _, html = told
    text = Page(html).text
    for words in ("A & <b>", "30 queries, 3 systems", "better <b>", "it <i>is</i> worse.", "Do & better.", evaluation.legend()):
        assert words in text
    for _, values in evaluation.table().iterrows():
        for measure in evaluation.measures:
            assert f"{values[measure]:.4f}" in text
    assert html.count("<polyline") == 3 + 3
    assert "NaN" not in html and "nan" not in text


def test_every_query_with_what_each_system_made_of_it(told: tuple[Evaluation, pd.DataFrame, str]) -> None:
    evaluation, queries, html = told
    data = data_of(html)
    assert data["systems"] == list(evaluation.runs)
    assert (data["baseline"], data["measures"], data["relevant"]) == ("base", ["RR@10", "nDCG@10"], 1)
    assert [query["qid"] for query in data["queries"]] == queries["qid"].tolist()
    assert [query["text"] for query in data["queries"]] == queries["query"].tolist()
    labels = {(row.qid, row.docno): row.label for row in evaluation.qrels.itertuples()}
    for query in data["queries"]:
        assert query["relevant"] == 2
        wanted: set[str] = set()
        for number, system in enumerate(evaluation.runs):
            assert query["values"][number] == pytest.approx(evaluation.per_query[system].loc[query["qid"]].tolist(), abs=1e-5)
            run = evaluated_results(evaluation, system)
            run = run[run["qid"] == query["qid"]]
            assert query["found"][number] == len(run)
            places = dict(zip(run["docno"], zip(run["rank"] + 1, run["score"], strict=True), strict=True))
            for doc, label, ranks, scores in query["rows"]:
                docno = data["docs"][doc][0]
                assert label == labels.get((query["qid"], docno))
                rank, score = places.get(docno, (0, None))
                assert ranks[number] == rank
                assert scores[number] == (None if score is None else pytest.approx(score, rel=1e-5))
            wanted |= set(run["docno"][run["rank"] < TOP])
            relevant = [docno for docno in run["docno"] if labels.get((query["qid"], docno), 0) >= 1]
            wanted |= set(relevant[:1])
        assert {data["docs"][row[0]][0] for row in query["rows"]} == wanted
    assert data["queries"][5]["rows"] == [], "nothing was found"
    assert any(max(row[2]) > TOP for query in data["queries"] for row in query["rows"])


def test_every_text_stands_once_and_cut(told: tuple[Evaluation, pd.DataFrame, str]) -> None:
    docs = data_of(told[2])["docs"]
    assert len({doc[0] for doc in docs}) == len(docs) == 40
    texts = {docno: (title, text) for docno, title, text in docs}
    assert texts["d1"] == ("title 1", " ".join(NASTY.split()))
    assert len(texts["d2"][1]) in (499, 500)
    assert texts["d2"][0] == ""
    assert texts["d2"][1].startswith("text of document 2 word") and texts["d2"][1].endswith("…")
    assert told[2].count("text of document 2 ") == 1
    assert told[2].count("</script>") == 2


def test_the_first_relevant_result_is_shown_however_deep(tmp_path: Path) -> None:
    rows = [("q", f"d{i:02}", float(-i)) for i in range(15)]
    deep = pt.Transformer.from_df(pd.DataFrame(rows, columns=["qid", "docno", "score"]))
    other = pt.Transformer.from_df(pd.DataFrame([("q", "e", 2.5), ("q", "d13", 1.0)], columns=["qid", "docno", "score"]))
    qrels = pd.DataFrame({"qid": "q", "docno": ["d12", "d14", "x"], "label": 1})
    queries = pd.DataFrame({"qid": ["q"], "query": ["asked"]})
    found = evaluate_systems({"deep": deep, "other": other}, queries, qrels, ["RR@10"])
    write_report(tmp_path / "x.html", found, queries, title="x")
    data = data_of((tmp_path / "x.html").read_text(encoding="utf-8"))
    shown = {data["docs"][doc][0]: told for doc, *told in data["queries"][0]["rows"]}
    assert list(shown) == [*(f"d{i:02}" for i in range(10)), "d12", "e", "d13"]
    assert shown["d12"] == [1, [13, 0], [-12.0, None]]
    assert shown["d13"] == [None, [14, 2], [-13.0, 1.0]]
    assert shown["e"] == [None, [0, 1], [None, 2.5]]
    assert (data["queries"][0]["relevant"], data["queries"][0]["found"]) == (3, [15, 2])


def test_questions_without_judgements_have_a_page_too(tmp_path: Path) -> None:
    store = DocumentStore.build([{"docno": "d1", "text": "a cat"}, {"docno": "d2", "text": "a dog"}], tmp_path / "store")
    evidence = Evidence(answers=pd.DataFrame({"qid": ["q1", "q2"], "answers": [["cat"], []]}), store=lambda: store)
    queries = pd.DataFrame({"qid": ["q1", "q2"], "query": ["who", "what"]})
    run = pd.DataFrame([("q1", "d1", 1.0), ("q2", "d2", 1.0), ("q3", "d2", 1.0)], columns=["qid", "docno", "score"])
    found = evaluate_systems({}, queries, None, ["Coverage@1"], runs={"theirs": run}, evidence=evidence)
    assert [finding.what for finding in diagnose(found, queries, answers=evidence.answers)] == [
        "1 of 2 questions (50.0%) have no answer, as q2 (in Coverage@1: 1 counted as 0)",
        "1 of its 3 queries, as 'q3', are not among the queries, and are left out",
    ]
    write_report(tmp_path / "x.html", found, queries, title="x", store=store)
    html = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert [query["rows"] for query in data_of(html)["queries"]] == [[[0, None, [1], [1.0]]], [[1, None, [1], [1.0]]]]
    assert "Runs from elsewhere have no times." in Page(html).text
    assert "nan" not in Page(html).text
    assert format_evaluation(found, "csv").splitlines()[1] == "theirs,0.5,"
    assert " -- \\\\" in format_evaluation(found, "latex")


def test_documents_that_are_not_there_are_shown_by_their_docno(tmp_path: Path) -> None:
    evaluation, queries, _ = reported(tmp_path)
    write_report(tmp_path / "x.html", evaluation, queries, title="x")
    assert {(title, text) for _, title, text in data_of((tmp_path / "x.html").read_text())["docs"]} == {("", "")}
    evaluation, queries, store = reported(tmp_path / "a", documents=40)
    run = evaluation.runs["worse"]
    run.loc[0, "docno"] = "elsewhere"
    write_report(tmp_path / "x.html", evaluation, queries, title="x", store=store)
    assert ["elsewhere", "", ""] in data_of((tmp_path / "x.html").read_text())["docs"]


def test_texts_of_many_documents_are_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.eval.report.contents._TEXTS", 40 * 200)
    evaluation, queries, store = reported(tmp_path)
    write_report(tmp_path / "x.html", evaluation, queries, title="x", store=store)
    assert max(len(text) for _, _, text in data_of((tmp_path / "x.html").read_text())["docs"]) == 200


def test_precision_by_recall_is_trec_evals() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        qids = [f"q{i}" for i in range(rng.integers(1, 6))]
        qrels = pd.DataFrame(
            [(qid, f"d{j}", int(rng.integers(0, 3))) for qid in qids for j in range(30)], columns=["qid", "docno", "label"]
        )
        rows = [(qid, f"d{j}", rng.random()) for qid in qids for j in rng.permutation(60)[: rng.integers(1, 50)] if qid != "q2"]
        run = check_run(pd.DataFrame(rows, columns=["qid", "docno", "score"]))
        relevant = int(rng.integers(1, 3))
        measures = [ir_measures.parse_measure(f"IPrec(rel={relevant})@{level:.1f}") for level in LEVELS]
        judged = qrels.rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})
        scored = run.rename(columns={"qid": "query_id", "docno": "doc_id"})
        per_query = {measure: dict.fromkeys(qids, 0.0) for measure in measures}
        for metric in ir_measures.iter_calc(measures, judged, scored):
            per_query[metric.measure][metric.query_id] = metric.value
        with_relevant = qrels["qid"][qrels["label"] >= relevant].unique()
        expected = [np.mean([per_query[measure][qid] for qid in with_relevant]) for measure in measures]
        assert precision_by_recall(run, qrels, relevant) == pytest.approx(expected, abs=1e-4)
    assert precision_by_recall(run, qrels.assign(label=0)).tolist() == [0.0] * 11


def test_scores_by_rank() -> None:
    run = check_run(pd.DataFrame({"qid": ["a", "a", "b", "c"], "docno": list("xyxx"), "score": [4.0, 1.0, 8.0, 0.0]}))
    assert scores_by_rank(run).tolist() == [[2.0, 4.0, 6.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 17.5), (0.401, 0.409), (100, 100_000), (-5e-9, 5e-9)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert all(low <= tick + 1e-12 and tick <= high + 1e-12 for tick in ticks)


def test_notices_are_shown(tmp_path: Path) -> None:
    told = "1 of 3 queries have no qrels and are left out ('<b>')"
    evaluation, queries, _ = reported(tmp_path)
    write_report(tmp_path / "page.html", replace(evaluation, notices=(told,)), queries, title="t")
    assert told in Page((tmp_path / "page.html").read_text(encoding="utf-8")).text
