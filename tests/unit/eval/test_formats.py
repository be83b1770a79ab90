"""The table for papers and programs, read back by their own readers."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.errors import UsageError
from ance_ir.eval import SUITES, Evaluation, Evidence, KeptRuns, diagnose, format_evaluation
from ance_ir.eval.formats import FORMS
from ance_ir.eval.significance import compare, intervals

NAMES = ["bm25", "a_b & c | 100% >> {x}~^#$\\"]


@pytest.fixture
def evaluation() -> Evaluation:
    values = {
        NAMES[0]: pd.DataFrame({"RR@10": [0.1, 0.2, 0.3, 1 / 3], "AP(rel=2)": [0.5, 0.5, 0.5, 0.5]}),
        NAMES[1]: pd.DataFrame({"RR@10": [0.6, 0.71, 0.8, 0.84], "AP(rel=2)": [0.5, 0.5, 0.4, 0.5]}),
    }
    values = {system: frame.set_axis(["q1", "q2", "q3", "q4"]).rename_axis("qid") for system, frame in values.items()}
    run = pd.DataFrame({"qid": ["q1"], "docno": ["d"], "score": [1.0], "rank": [0]})
    return Evaluation(
        qrels=pd.DataFrame({"qid": ["q1"], "docno": ["d"], "label": [1]}),
        runs=dict.fromkeys(values, run),
        per_query=values,
        ms_per_query={NAMES[0]: 1.25, NAMES[1]: 20.0},
        baseline="bm25",
        comparison=compare(values, "bm25"),
        intervals=intervals(values, "bm25", resamples=50),
    )


def test_csv_holds_all_digits(evaluation: Evaluation) -> None:
    table = pd.read_csv(io.StringIO(format_evaluation(evaluation, "csv")), keep_default_na=False, float_precision="round_trip")
    table = table.set_index("system")
    assert table.columns.tolist() == ["RR@10", "RR@10 mark", "AP(rel=2)", "AP(rel=2) mark", "ms/query"]
    assert table.index.tolist() == NAMES
    for measure in evaluation.measures:
        assert table[measure].tolist() == evaluation.table()[measure].tolist()
    assert table["RR@10 mark"].tolist() == ["", "†"]
    assert table["AP(rel=2) mark"].tolist() == ["", ""]
    assert table["ms/query"].tolist() == [1.25, 20.0]


def test_json_is_what_is_saved(evaluation: Evaluation) -> None:
    assert json.loads(format_evaluation(evaluation, "json")) == json.loads(json.dumps(evaluation.to_json()))


def test_markdown(evaluation: Evaluation) -> None:
    lines = format_evaluation(evaluation, "markdown").splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[:4]]
    assert rows[0] == ["system", "RR@10", "AP(rel=2)", "ms/query"]
    assert rows[2] == ["bm25", "0.2333", "0.5000", "1.2"]
    assert rows[3] == [NAMES[1].replace("|", r"\|"), "0.7375†", "0.4750", "20.0"]
    assert lines[4] == ""
    assert lines[5].startswith("4 queries; † differs from bm25")


def test_latex_is_balanced_and_escaped(evaluation: Evaluation) -> None:
    lines = format_evaluation(evaluation, "latex").splitlines()
    assert lines[0].startswith("% 4 queries; †")
    assert lines[1] == r"\begin{tabular}{lrrr}"
    assert [line.strip() for line in lines if line.strip().endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = [line for line in lines if line.endswith(r" \\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [3, 3, 3]
    assert rows[0] == r"  System & RR@10 & AP(rel=2) & ms/query \\"
    assert rows[1] == r"  bm25 & 0.2333 & \textbf{0.5000} & 1.2 \\"
    assert (
        r"a\_b \& c \textbar{} 100\% \textgreater{}\textgreater{} \{x\}\textasciitilde{}\textasciicircum{}\#\$\textbackslash{}" in rows[2]
    )
    assert r"\textbf{0.7375}$^{\dagger}$ & 0.4750" in rows[2]
    body = re.sub(r"\\[{}]", "", "\n".join(lines[1:]))
    assert body.count("{") == body.count("}")


def test_latex_compiles(evaluation: Evaluation, tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("there is no pdflatex")
    body = format_evaluation(evaluation, "latex")
    page = f"\\documentclass{{article}}\\usepackage[T1]{{fontenc}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "x.tex").write_text(page, encoding="utf-8")
    done = subprocess.run(["pdflatex", "-halt-on-error", "x.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_without_a_baseline_there_are_no_marks(evaluation: Evaluation) -> None:
    from dataclasses import replace

    alone = replace(evaluation, baseline=None, comparison=None)
    for form in ("text", "markdown", "latex", "json", "csv"):
        told = format_evaluation(alone, form)
        assert "†" not in told and "dagger" not in told
    assert pd.read_csv(io.StringIO(format_evaluation(alone, "csv"))).columns.tolist() == ["system", "RR@10", "AP(rel=2)", "ms/query"]


def test_text_is_the_terminals(evaluation: Evaluation) -> None:
    assert format_evaluation(evaluation, "text") == evaluation.to_text()
    with pytest.raises(UsageError, match=r"'xml'.*csv, json, latex, markdown, text"):
        format_evaluation(evaluation, "xml")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_system_and_value(evaluation: Evaluation, form: str) -> None:
    table = format_evaluation(evaluation, form)
    assert FORMS.summary(form)
    assert NAMES[0] in table
    for measure in evaluation.measures:
        assert measure in table
    for value in evaluation.table()[evaluation.measures].to_numpy().ravel():
        assert f"{value:.4f}".rstrip("0") in table


def test_a_notebook_shows_the_table_with_the_best_in_bold(evaluation: Evaluation) -> None:
    html = evaluation._repr_html_()
    means = evaluation.table()["RR@10"]
    assert f"<b>{means.max():.4f}</b>" in html
    assert f"<b>{means.min():.4f}</b>" not in html
    assert escape(NAMES[1]) in html and NAMES[1] not in html
    assert escape(evaluation.legend()) in html
    assert html.count("<table>") == 2, "the comparison follows"
    assert repr(evaluation) == "Evaluation(2 systems, 4 queries, RR@10 AP(rel=2), baseline bm25)"


def test_public_objects_show_themselves_in_a_line(evaluation: Evaluation, tmp_path: Path) -> None:
    assert repr(SUITES["beir"]) == "Suite(name='beir', measures=('nDCG@10', 'R@100'), depth=100, counts_itself=False)"
    assert repr(KeptRuns(tmp_path)) == f"KeptRuns({str(tmp_path)!r})"
    answers = pd.DataFrame({"qid": ["q"], "answers": [["a"]]})
    assert repr(Evidence(answers=answers, runs={"x": evaluation.runs["bm25"]})) == "Evidence(answers to 1 questions, no documents, run x)"
    findings = diagnose(evaluation, pd.DataFrame({"qid": ["q1", "q2"], "query": ["<b>", ""]}))
    assert findings and repr(findings[0]) == f"Finding({findings[0].to_text()})"
    assert "<b>" not in findings._repr_html_() and findings[0].severity in findings._repr_html_()
