"""Each finding: told where there is reason, with its numbers, and not told where all is well."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest

from ance_ir.eval import Evaluation, Finding, diagnose, evaluate, findings_text
from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.checks import CHECKS
from ance_ir.eval.significance import intervals

QIDS = [f"q{i}" for i in range(10)]
QUERIES = pd.DataFrame({"qid": QIDS, "query": [f"what is number {i}" for i in range(10)]})
Score = Callable[[int, int], float]


def qrels_of(labels: Sequence[int] = (1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), name: str = "d{}-{}") -> pd.DataFrame:
    """Twelve judged documents a query, the first two of which are relevant."""
    return pd.DataFrame(
        [(qid, name.format(i, j), label) for i, qid in enumerate(QIDS) for j, label in enumerate(labels)], columns=["qid", "docno", "label"]
    )


def run_of(depth: int = 12, *, score: Score = lambda i, j: float(-j), name: str = "d{}-{}", qids: Sequence[str] = QIDS) -> pd.DataFrame:
    rows = [(qid, name.format(i, j), score(i, j)) for i, qid in enumerate(QIDS) if qid in qids for j in range(depth)]
    return pd.DataFrame(rows, columns=["qid", "docno", "score"])


def evaluation_of(run: pd.DataFrame, qrels: pd.DataFrame | None = None, measures: Sequence[str] = ("RR@10",)) -> Evaluation:
    from ance_ir.eval.runs import check_run

    qrels = qrels_of() if qrels is None else qrels
    runs = {"good": check_run(run_of(name="d{}-{}")), "other": check_run(run)}
    values = {system: evaluate(found, qrels, measures) for system, found in runs.items()}
    return Evaluation(
        qrels=qrels,
        runs=runs,
        per_query=values,
        ms_per_query=dict.fromkeys(runs, 1.0),
        baseline=None,
        comparison=None,
        intervals=intervals(values, resamples=10),
    )


def found_in(run: pd.DataFrame | None = None, qrels: pd.DataFrame | None = None, **told: Any) -> list[Finding]:
    measures = told.pop("measures", ("RR@10",))
    return diagnose(evaluation_of(run_of() if run is None else run, qrels, measures), told.pop("queries", QUERIES), **told)


def only(found: list[Finding], severity: str, system: str | None, words: str) -> Finding:
    (finding,) = found
    assert (finding.severity, finding.system) == (severity, system)
    assert words in finding.what
    return finding


def test_nothing_is_told_where_all_is_well() -> None:
    answers = pd.DataFrame({"qid": QIDS, "answers": [["x"]] * 10})
    assert (
        found_in(relevant=1, training=["something else"], answers=answers, measures=("RR@10", "nDCG@10", "AP"), documents=lambda: 120) == []
    )
    assert findings_text([]) == ""


def test_an_english_stemmer_over_another_language() -> None:
    asked = []

    def language() -> str:
        asked.append(1)
        return "the language 'de'"

    evaluation = dataclasses.replace(evaluation_of(run_of()), stemmed={"good": frozenset({"de"}), "other": frozenset({"en"})})
    only(list(diagnose(evaluation, QUERIES, language=language)), "warning", "other", "stems English")
    assert diagnose(evaluation, QUERIES, language=lambda: None) == []
    assert diagnose(dataclasses.replace(evaluation, stemmed={}), QUERIES, language=language) == []
    assert asked == [1], "documents are not read without a reason"


def test_queries_that_nobody_asked() -> None:
    more = pd.concat([run_of(), run_of(qids=QIDS[:2]).assign(qid=lambda run: "Y-" + run["qid"])])
    told = only(found_in(more), "note", "other", "2 of its 12 queries, as 'Y-q0', are not among the queries")
    assert told.figures == {"unknown": 2, "queries": 12}


def test_lost_queries() -> None:
    told = only(found_in(run_of(qids=QIDS[4:])), "warning", "other", "no results for 4 of 10 queries (q0, q1, q2, …), which count 0")
    assert told.figures == {"without results": 4, "queries": 10}
    assert told.to_text().startswith("warning: other: no results for 4 of 10 queries")
    only(found_in(run_of(depth=0).astype({"qid": str, "docno": str, "score": float})), "problem", "other", "no results for 10 of 10")


@pytest.mark.parametrize(
    ("name", "qrel_name", "advice"),
    [
        ("doc{}-{}", "d{}-{}", "check that both are of one corpus"),
        ("D{}-{}", "d{}-{}", "letters are upper or lower case"),
        ("00{}{}", "{}{}", "numbers are filled up with zeros"),
        ("msmarco_{}{}", "{}{}", "a prefix stands before the number"),
        ("D00{}{}", "{}{}", "a prefix and zeros stand before the number"),
        ("d{}-{}#0", "d{}-{}", "passages are numbered after # or %"),
        ("d{}-{}.txt", "d{}-{}", "a file's ending follows"),
    ],
)
def test_docnos_that_do_not_meet(name: str, qrel_name: str, advice: str) -> None:
    found = [finding for finding in found_in(run_of(name=name), qrels_of(name=qrel_name)) if finding.system == "other"]
    finding = next(finding for finding in found if "docnos here are like" in finding.what)
    if name != "doc{}-{}":
        assert advice in finding.advice
    assert finding.severity == "problem"
    assert repr(name.format(0, 0)) in finding.what
    assert repr(qrel_name.format(0, 0)) in finding.what
    assert "it found 0 of 20 relevant documents in 120 different results" in finding.what


def test_docnos_that_the_corpus_has_are_not_said_to_differ() -> None:
    poor = run_of(name="e{}-{}")

    def told(held: Callable[[str], bool]) -> Finding:
        found = found_in(poor, unknown=lambda docnos: docnos[[not held(docno) for docno in docnos]])
        return next(finding for finding in found if finding.system == "other" and "it found 0 of 20 relevant" in finding.what)

    assert "though the corpus holds both" in told(lambda docno: True).what
    assert "docnos" not in told(lambda docno: True).what.partition("though")[0]
    for held in (lambda docno: docno.startswith("d"), lambda docno: docno.startswith("e")):  # of one of both
        assert "docnos here are like 'e0-0', in the judgements like 'd0-0'" in told(held).what


def test_docnos_of_another_corpus_are_not_said_to_be_the_same() -> None:
    names = pd.DataFrame(
        [("q0", word, float(-i)) for i, word in enumerate(["cat", "dog", "bird", "fish"])], columns=["qid", "docno", "score"]
    )
    found = [finding for finding in found_in(names) if "docnos here" in finding.what]
    assert only(found, "problem", "other", "'cat'").advice == "check that both are of one corpus"


def test_few_relevant_documents_are_a_warning_and_some_are_none() -> None:
    def with_relevant(share: float) -> list[Finding]:
        qrels = pd.DataFrame([(qid, f"d{i}-{j}", 1) for i, qid in enumerate(QIDS) for j in range(100)], columns=["qid", "docno", "label"])
        run = run_of(100, name="x{}-{}")
        run.loc[: int(share * 1000) - 1, "docno"] = [f"d{i}-{j}" for i in range(10) for j in range(100)][: int(share * 1000)]
        return [finding for finding in found_in(run, qrels) if "docnos here" in finding.what]

    only(with_relevant(0.04), "warning", "other", "it found 40 of 1,000")
    assert with_relevant(0.06) == []


def test_equal_scores() -> None:
    found = found_in(run_of(score=lambda i, j: 1.0))
    assert (
        only(found, "problem", "other", "on 100.0% of the queries the whole top 10 has one score").figures["queries with one score"] == 1.0
    )
    only(found_in(run_of(score=lambda i, j: 1.0 if i < 2 else -j)), "warning", "other", "on 20.0% of the queries the whole top 10")
    only(found_in(run_of(score=lambda i, j: -max(j, 1) if i < 3 else -j)), "note", "other", "on 30.0% of the queries (more than 25%)")
    assert found_in(run_of(score=lambda i, j: -max(j, 1) if i < 2 else -j)) == []
    assert found_in(run_of(score=lambda i, j: -min(j, 10))) == [], "ties below the top 10"
    assert len(found_in(run_of(score=lambda i, j: 1 - j * 1e-12))) == 1, "equal as float32"
    assert found_in(run_of(1, name="d{}-{}"), measures=["RR@1"]) == [], "a single result is no tie"


def test_a_shallow_run() -> None:
    measures = ("RR@10", "R@100", "R@20", "AP")
    told = only(found_in(run_of(15), measures=measures, documents=lambda: 1000)[:1], "warning", "good", "no query has more than 12 results")
    assert "too few for R@100, R@20" in told.what
    assert [finding.system for finding in found_in(run_of(30), measures=["R@20"])] == ["good"], "as deep as the measure"
    assert found_in(run_of(15), measures=measures, documents=lambda: 12) == [], "the whole corpus"

    uneven = pd.concat([run_of(depth, qids=[qid]) for qid, depth in zip(QIDS, range(3, 13), strict=True)])
    assert "other" not in {finding.system for finding in found_in(uneven, measures=measures)}, "no more was found, nothing was cut"

    def never() -> int:
        raise AssertionError("the corpus is counted only if need be")

    assert found_in(documents=never) == []


def test_few_judgements() -> None:
    def judged_at_10(unjudged: int, judged: int = 12, lowest: int = 0) -> list[Finding]:
        qrels = qrels_of([1, 1] + [lowest] * (judged - 2))
        return found_in(
            run_of(score=lambda i, j: -((j - (12 - unjudged)) % 12)).replace(
                {"docno": {f"d{i}-{j}": f"x{i}-{j}" for i in range(10) for j in range(12 - unjudged, 12)}}
            ),
            qrels,
        )

    assert judged_at_10(5) == []
    assert only(judged_at_10(6), "warning", "other", "judged@10 is 40.0%, less than 50%").figures == {"judged@10": 0.4}
    only(judged_at_10(6, judged=8), "note", None, "judgements are sparse (8.0 a query)")
    only(judged_at_10(6, lowest=1), "note", None, "the judgements name relevant documents alone")
    assert judged_at_10(5, judged=8) == []


def test_labels_and_thresholds() -> None:
    graded = qrels_of([2, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    binary = ["AP(rel=2)", "nDCG@10"]
    told = only(found_in(relevant=2, measures=binary), "problem", None, "AP(rel=2) can only be 0: the highest label is 1")
    assert told.figures == {"highest label": 1}
    only(
        found_in(relevant=2, measures=["nDCG@10"]),
        "warning",
        None,
        "counts labels from 2 on as relevant, and the highest of these judgements is 1",
    )
    only(
        found_in(qrels=graded, relevant=2), "warning", None, "from 2 on as relevant, and lower ones count too in RR@10 (50% are 2 or more)"
    )
    only(found_in(qrels=graded), "note", None, "this collection is graded, up to 2, and lower ones count too in RR@10")
    assert found_in(qrels=graded, relevant=2, measures=binary) == []
    assert found_in(qrels=graded, relevant=1) == []
    assert found_in(qrels=graded, measures=["nDCG@10", "Judged@10"]) == []


def test_repeated_queries() -> None:
    again = QUERIES.assign(query=QUERIES["query"].where(QUERIES["qid"] != "q3", "What is  NUMBER 1?"))
    assert only(found_in(queries=again), "note", None, "1 of 10 queries repeat the text of another, as q1, q3").figures["repeated"] == 1


def test_queries_of_training() -> None:
    told = only(
        found_in(training=["what is number 3?", "WHAT is number 5", "else"]),
        "warning",
        None,
        "2 of 10 queries (20.0%) are among the training",
    )
    assert "'what is number 3'" in told.what
    assert found_in(training=[]) == []


def test_questions_without_answers() -> None:
    answers = pd.DataFrame({"qid": QIDS[1:], "answers": [["x"]] * 7 + [[], ["\n"]]})
    assert found_in(answers=answers) == [], "no measure asks for answers"
    asking = dataclasses.replace(evaluation_of(run_of()), per_query={"a": pd.DataFrame(0.0, QIDS, ["Coverage@20", "RR@10"])}, runs={})

    def found(queries: pd.DataFrame, given: pd.DataFrame | None) -> list[Finding]:
        case = Case(evaluation=asking, all_queries=queries, answers=given)
        return list(CHECKS["no-answers"](case))

    (finding,) = found(QUERIES, answers)
    assert finding.what == "3 of 10 questions (30.0%) have no answer, as q0 (in Coverage@20: 1 left out, 2 counted as 0)"
    assert found(QUERIES[1:8], answers) == []
    assert found(QUERIES[8:], answers)[0].severity == "problem"
    assert found(QUERIES, None) == []


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_is_described_and_finds_nothing_where_all_is_well(name: str) -> None:
    assert CHECKS.summary(name)
    case = Case(evaluation=evaluation_of(run_of()), all_queries=QUERIES, relevant=1, training=["else"], documents=lambda: 120)
    assert list(CHECKS[name](case)) == []


def test_the_gravest_come_first_and_each_once() -> None:
    found = found_in(run_of(5, qids=QIDS[1:], score=lambda i, j: 1.0), qrels_of([2, 1]), measures=["R@10"])
    assert [finding.severity for finding in found] == sorted(
        (finding.severity for finding in found), key=["problem", "warning", "note"].index
    )
    assert len({finding.what for finding in found}) == len(found)
    assert len(findings_text(found).splitlines()) == len(found)


def test_queries_without_a_relevant_document_are_told() -> None:
    qrels = qrels_of()
    qrels.loc[qrels["qid"].isin(["q3", "q7"]), "label"] = 0
    finding = only(found_in(qrels=qrels), "warning", None, "2 of 10 queries")
    assert "'q3', 'q7'" in finding.what
    assert any(one.severity == "problem" and "10 of 10" in one.what for one in found_in(qrels=qrels.assign(label=0)))


def test_empty_queries_are_told() -> None:
    queries = QUERIES.assign(query=["", " ?! ", *QUERIES["query"][2:]])
    assert "'q0', 'q1'" in only(found_in(queries=queries), "warning", None, "2 of 10 queries").what


def test_documents_that_are_the_query_itself_are_told_unless_judged() -> None:
    run = run_of().replace({"docno": {f"d{i}-0": f"q{i}" for i in range(3)}})
    finding = only(found_in(run), "warning", "other", "3 of 10 queries")
    assert "beir" in finding.advice
    judged = qrels_of().replace({"docno": {f"d{i}-0": f"q{i}" for i in range(10)}})
    assert not [one for one in found_in(run, judged) if "whose docno is the qid" in one.what]
    assert found_in(run_of().replace({"docno": {"d0-11": "q0"}})) == []


def test_documents_that_the_corpus_lacks_are_told() -> None:
    lacking = {"d1-0", "d7-1", "d2-5"}

    def unknown(docnos: pd.Index) -> pd.Index:
        return docnos[docnos.isin(lacking)]

    finding = only(found_in(unknown=unknown), "warning", None, "2 of 20 relevant documents")
    assert "'d1-0', 'd7-1'" in finding.what
    evaluation = dataclasses.replace(evaluation_of(run_of()), ms_per_query={"good": 1.0})  # the other came from a file
    told = {finding.system: finding.what for finding in diagnose(evaluation, QUERIES, unknown=unknown)}
    assert "3 of 100 documents" in told["other"]
    assert set(told) == {None, "other"}
