"""Coverage, Hole, Overlap, EM and F1: beside their definitions written out, and by every way that leads to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import ir_measures
import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

import ance_ir.datasets.answering as answering
from ance_ir.answers import Answers
from ance_ir.datasets import DocumentStore
from ance_ir.datasets.answering import AnswerFinder
from ance_ir.errors import DocumentNotFoundError, EvaluationError, UsageError
from ance_ir.eval import Evidence, bind_measures, evaluate, evaluate_systems, mean_values, parse_measures
from ance_ir.eval.measures import OWN_MEASURES
from ance_ir.eval.runs import check_run

TEXTS = {
    "d1": ("Berlin", "Paris is the capital of France."),
    "d2": ("Paris", "The city of light."),
    "d3": ("", "Born in 1879 in Ulm."),
    "d4": ("", "nothing"),
}
ANSWERS = pd.DataFrame(
    [("q1", ["paris"]), ("q2", ["Berlin", "Ulm"]), ("q3", [r"18\d\d"]), ("q4", ["Paris"]), ("q5", [])], columns=["qid", "answers"]
)
RUN = pd.DataFrame(
    # q1: the title alone, then the text; q2 ties, so d3 before d1; q4 has no results; q9 is no question
    [
        ("q1", "d2", 3.0),
        ("q1", "d1", 2.0),
        ("q2", "d1", 1.0),
        ("q2", "d3", 1.0),
        ("q3", "d4", 2.0),
        ("q3", "d3", 1.0),
        ("q5", "d1", 1.0),
        ("q9", "d1", 1.0),
    ],
    columns=["qid", "docno", "score"],
)
QRELS = pd.DataFrame(
    [("q1", "d1", 1), ("q1", "d2", -1), ("q2", "d4", 0), ("q4", "d1", 1), ("j", "d1", 2)], columns=["qid", "docno", "label"]
)
OTHER = pd.DataFrame([("q1", "d1", 1.0), ("q2", "d3", 2.0), ("q2", "d4", 3.0), ("q4", "d1", 1.0)], columns=["qid", "docno", "score"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DocumentStore:
    documents = ({"docno": docno, "title": title, "text": text} for docno, (title, text) in TEXTS.items())
    return DocumentStore.build(documents, tmp_path_factory.mktemp("store") / "documents")


@pytest.fixture
def evidence(store: DocumentStore) -> Evidence:
    return Evidence(answers=ANSWERS, store=lambda: store, runs={"other": OTHER})


def test_coverage_takes_texts_ranks_and_all_questions(evidence: Evidence) -> None:
    values = evaluate(RUN, None, ["Coverage@1", "Coverage@2", "Coverage@99", "Coverage(patterns=True)@2"], evidence=evidence)
    assert values.index.tolist() == ["q1", "q2", "q3", "q4", "q5"]
    assert values["Coverage@1"].tolist() == [0, 1, 0, 0, 0]
    assert values["Coverage@2"].tolist() == values["Coverage@99"].tolist() == [1, 1, 0, 0, 0]
    assert values["Coverage(patterns=True)@2"].tolist() == [1, 1, 1, 0, 0]


def test_what_is_judged_and_what_is_answered_stand_beside_each_other(evidence: Evidence) -> None:
    values = evaluate(RUN, QRELS, ["RR@10", "Coverage@2", "Hole@2"], evidence=evidence)
    assert values.index.tolist() == ["q1", "q2", "q4", "j", "q3", "q5"]
    assert values["RR@10"].tolist()[:4] == [0.5, 0, 0, 0]
    assert values["RR@10"].isna().tolist() == values["Hole@2"].isna().tolist() == [False] * 4 + [True] * 2
    assert values["Coverage@2"].isna().tolist() == [False] * 3 + [True] + [False] * 2
    assert mean_values(values, RUN)["Coverage@2"] == pytest.approx(2 / 5)
    assert evaluate(RUN, QRELS, ["RR@10"], evidence=evidence).index.tolist() == ["q1", "q2", "q4", "j"]


def test_holes_are_pooled() -> None:
    values = evaluate(RUN, QRELS, ["Hole@1", "Hole@2", "Hole@9"])
    assert values["Hole@2"].tolist() == [0, 1, 0, 0]  # a label of -1 is a judgement; q4 and j have no results
    assert mean_values(values, RUN).tolist() == [1 / 2, 2 / 4, 2 / 4]
    run = pd.concat([RUN, pd.DataFrame({"qid": "j", "docno": ["d1"], "score": 1.0})])
    values = evaluate(run, QRELS, ["Hole@2"])
    assert values["Hole@2"].mean() == 1 / 4
    assert mean_values(values, run)["Hole@2"] == 2 / 5
    assert ir_measures.calc_aggregate(parse_measures(["Hole@2"]), *_irm(QRELS, run)) == {parse_measures(["Hole@2"])[0]: 2 / 5}


def test_overlap_divides_by_k(evidence: Evidence) -> None:
    values = evaluate(RUN, QRELS, ["Overlap(run='other')@1", "Overlap(run='other')@2"], evidence=evidence)
    assert values.index.tolist() == ["q1", "q2", "q4", "j"]
    assert values["Overlap(run='other')@1"].tolist() == [0, 0, 0, 0]
    assert values["Overlap(run='other')@2"].tolist() == [1 / 2, 1 / 2, 0, 0]


def test_answers_are_compared(evidence: Evidence) -> None:
    given = pd.DataFrame({"qid": ["q1", "q2", "q5", "q9"], "qanswer": ["The Paris!", "Ulm Germany", None, "x"], "docno": "d"})
    values = evaluate(given, None, ["EM", "F1"], evidence=evidence)
    assert values["EM"].tolist() == [1, 0, 0, 0, 0]
    assert values["F1"].tolist() == pytest.approx([1, 2 / 3, 0, 0, 0])
    with pytest.raises(EvaluationError, match="EM evaluate answers"):
        evaluate(given, QRELS, ["EM", "RR@10"], evidence=evidence)
    with pytest.raises(EvaluationError, match="the question 'q1' has two answers"):
        evaluate(pd.concat([given, given]), None, ["EM"], evidence=evidence)
    with pytest.raises(EvaluationError, match="qanswer missing"):
        evaluate(RUN, None, ["F1"], evidence=evidence)


def _irm(qrels: pd.DataFrame, run: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pt.model.to_ir_measures(qrels), pt.model.to_ir_measures(run)


def test_ir_measures_and_experiments_take_them(evidence: Evidence) -> None:
    names = ["Coverage@1", "Coverage@2", "Hole@2", "Overlap(run='other')@2", "RR@10"]
    bound = bind_measures(names, evidence)
    ours = mean_values(evaluate(RUN, QRELS, names, evidence=evidence), RUN)
    theirs = {str(measure): value for measure, value in ir_measures.calc_aggregate(bound, *_irm(QRELS, RUN)).items()}
    assert theirs["Coverage@2"] == pytest.approx(2 / 3)  # of the questions that are judged
    assert [theirs[name] for name in names[2:]] == pytest.approx(ours[names[2:]].tolist())
    asked, answered = pd.DataFrame({"qid": ["q1", "q2", "q4"], "query": "?"}), QRELS[QRELS["qid"] != "j"]
    table = pt.Experiment({"a": pt.Transformer.from_df(RUN.assign(query="?", rank=0))}, asked, answered, bound).iloc[0]
    values = evaluate(RUN, answered, names, evidence=evidence).loc[asked["qid"]]
    assert table[names].tolist() == pytest.approx(values.mean().tolist())  # PyTerrier takes the plain mean, of Hole too
    of_answers = ir_measures.calc_aggregate(bound[:2], ANSWERS.rename(columns={"qid": "query_id"}), _irm(QRELS, RUN)[1])
    assert [of_answers[measure] for measure in bound[:2]] == pytest.approx([ours["Coverage@1"], ours["Coverage@2"]])
    given = pd.DataFrame({"query_id": ["q1"], "qanswer": ["paris"]})
    assert ir_measures.calc_aggregate(bind_measures(["EM"], evidence), ANSWERS.rename(columns={"qid": "query_id"}), given) == {
        ir_measures.parse_measure("EM"): 1 / 5
    }
    with pytest.raises(EvaluationError, match="Coverage@2 needs answers"):
        ir_measures.calc_aggregate(parse_measures(["Coverage@2"]), *_irm(QRELS, RUN))


@pytest.mark.parametrize(
    "name",
    [
        "Coverage",
        "Coverage@0",
        "Coverage@-1",
        "Coverage@True",
        "Coverage@1.5",
        "Hole",
        "Overlap@3",
        "Overlap(run=3)@3",
        "EM@3",
        "Coverage(x=1)@3",
    ],
)
def test_names_that_mean_nothing_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(name).strip("'"))):
        parse_measures([name])


def test_names_are_kept() -> None:
    names = ["Coverage@20", "Coverage(patterns=True)@20", "Hole@10", "Overlap(run='bm25')@100", "EM", "F1"]
    assert [str(measure) for measure in parse_measures(names)] == names


def test_answers_that_are_no_regular_expressions_are_warned_of(store: DocumentStore, caplog: pytest.LogCaptureFixture) -> None:
    answers = ANSWERS.assign(answers=[["(paris", "paris"], ["*"], ["x"], [], []])
    evaluate(RUN, None, ["Coverage@2"], evidence=Evidence(answers=answers, store=lambda: store))
    assert not caplog.records
    evaluate(RUN, None, ["Coverage(patterns=True)@1", "Coverage(patterns=True)@2"], evidence=Evidence(answers=answers, store=lambda: store))
    (record,) = caplog.records
    assert "'(paris', '*'" in record.getMessage()


def test_what_is_missing_is_named(evidence: Evidence, store: DocumentStore) -> None:
    with pytest.raises(EvaluationError, match="Coverage@2 needs answers to the questions"):
        evaluate(RUN, QRELS, ["Coverage@2"])
    with pytest.raises(EvaluationError, match=r"Overlap\(run='x'\)@2.*other"):
        evaluate(RUN, QRELS, ["Overlap(run='x')@2"], evidence=evidence)
    with pytest.raises(EvaluationError, match="takes both"):
        evaluate(RUN, QRELS, ["Coverage@2"], evidence=Evidence(answers=ANSWERS))
    with pytest.raises(EvaluationError, match="there are no qrels"):
        evaluate(RUN, None, ["Hole@2"], evidence=evidence)
    with pytest.raises(EvaluationError, match="run and questions have no query in common"):
        evaluate(RUN.head(1).assign(qid="z"), None, ["Coverage@2"], evidence=evidence)
    with pytest.raises(DocumentNotFoundError, match=r"1 .*5 .*4 .*'d9'"):
        evaluate(pd.concat([RUN, RUN.head(1).assign(docno="d9")]), None, ["Coverage@2"], evidence=evidence)
    with pytest.raises(EvaluationError, match="answers missing"):
        Evidence(answers=ANSWERS[["qid"]])
    with pytest.raises(EvaluationError, match=r"the questions: .*'q1'"):
        Evidence(answers=pd.concat([ANSWERS, ANSWERS]))
    with pytest.raises(UsageError, match=r"processes.*at least 1.*0"):
        AnswerFinder(store, [], processes=0)


@pytest.fixture(scope="module")
def random_case(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], pd.DataFrame, pd.DataFrame, DocumentStore]:
    """Texts, answers of questions, a run with ties over them, and their store."""
    rng = np.random.default_rng(0)
    words = [*"abcdefgh", "é", "."]
    texts = [" ".join(rng.choice(words, rng.integers(0, 12))) for _ in range(200)]
    answers = [[" ".join(rng.choice(words, rng.integers(0, 4))) for _ in range(rng.integers(0, 3))] for _ in range(60)]
    rows = [
        (f"q{question}", f"d{document}", float(rng.integers(4)))
        for question in range(60)
        for document in rng.permutation(200)[: rng.integers(0, 40)]
    ]
    documents = ({"docno": f"d{number}", "text": text} for number, text in enumerate(texts))
    store = DocumentStore.build(documents, tmp_path_factory.mktemp("random") / "documents")
    frame = pd.DataFrame({"qid": [f"q{question}" for question in range(60)], "answers": answers})
    return texts, frame, pd.DataFrame(rows, columns=["qid", "docno", "score"]), store


def covered(texts: list[str], answers: pd.DataFrame, run: pd.DataFrame, k: int, patterns: bool) -> list[float]:
    """Coverage@k of each question as its definition says."""
    values = []
    for qid, right in zip(answers["qid"], answers["answers"], strict=True):
        results = sorted(run[run["qid"] == qid][["score", "docno"]].itertuples(index=False), reverse=True)[:k]
        values.append(float(any(Answers(right, patterns=patterns).are_in(texts[int(docno[1:])]) for _, docno in results)))
    return values


@pytest.mark.parametrize("patterns", [False, True])
@pytest.mark.parametrize("processes", [1, 2])
def test_coverage_is_its_definition(
    random_case: tuple[list[str], pd.DataFrame, pd.DataFrame, DocumentStore],
    monkeypatch: pytest.MonkeyPatch,
    patterns: bool,
    processes: int,
) -> None:
    texts, answers, run, store = random_case
    monkeypatch.setattr(answering, "WORTH", 0)
    monkeypatch.setattr(answering, "PIECE", 7)
    evidence = Evidence(answers=answers, store=lambda: store, processes=processes)
    names = [f"Coverage({'patterns=True' if patterns else ''})@{k}".replace("()", "") for k in (1, 5, 50)]
    values = evaluate(run, None, names, evidence=evidence)
    for name, k in zip(names, (1, 5, 50), strict=True):
        expected = covered(texts, answers, run, k, patterns)
        assert values[name].tolist() == expected
        assert 0.1 < np.mean(expected) < 0.9


def test_each_text_is_read_once_and_what_was_found_is_remembered(
    random_case: tuple[list[str], pd.DataFrame, pd.DataFrame, DocumentStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, answers, run, store = random_case
    read: list[str] = []
    tokenised: Callable[[str], str] = answering.answer_tokens
    monkeypatch.setattr(answering, "answer_tokens", lambda text: read.append(text) or tokenised(text))  # type: ignore[func-returns-value]
    monkeypatch.setattr(answering, "PIECE", 3)
    evidence = Evidence(answers=answers, store=lambda: store)
    evaluate(run, None, ["Coverage@1", "Coverage@50"], evidence=evidence)
    assert len(read) == run["docno"].nunique()
    read.clear()
    evaluate(run.assign(score=-run["score"]), None, ["Coverage@5"], evidence=evidence)
    assert read == []


@pytest.mark.parametrize("seed", range(3))
def test_hole_and_overlap_are_their_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def ranking(queries: range) -> pd.DataFrame:
        rows = [(f"q{q}", f"d{d}", float(rng.integers(5))) for q in queries for d in rng.permutation(30)[: rng.integers(1, 25)]]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])

    def top(run: pd.DataFrame, qid: str, k: int) -> list[str]:
        return [docno for _, docno in sorted(run[run["qid"] == qid][["score", "docno"]].itertuples(index=False), reverse=True)[:k]]

    run, other, qrels = ranking(range(20)), ranking(range(5, 30)), ranking(range(3, 25)).rename(columns={"score": "label"})
    values = evaluate(run, qrels.astype({"label": int}), ["Hole@10", "Overlap(run='o')@10"], evidence=Evidence(runs={"o": other}))
    unjudged = retrieved = 0
    for qid, row in values.iterrows():
        mine, judged = top(run, str(qid), 10), set(qrels[qrels["qid"] == qid]["docno"])
        holes = sum(docno not in judged for docno in mine)
        unjudged, retrieved = unjudged + holes, retrieved + len(mine)
        assert row["Hole@10"] == pytest.approx(holes / len(mine) if mine else 0)
        assert row["Overlap(run='o')@10"] == pytest.approx(len(set(mine) & set(top(other, str(qid), 10))) / 10)
    assert mean_values(values, run)["Hole@10"] == pytest.approx(unjudged / retrieved)


def test_an_experiment_has_runs_beside_systems_and_questions_without_qrels(evidence: Evidence, tmp_path: Path) -> None:
    queries = pd.DataFrame({"qid": ["q1", "q2", "q3", "q4"], "query": "?"})
    system = pt.Transformer.from_df(RUN.assign(query="?", rank=0))
    found = evaluate_systems(
        {"a": system}, queries, QRELS, ["RR@10", "Coverage@2", "Overlap(run='b')@2"], runs={"b": OTHER}, evidence=evidence, baseline="b"
    )
    assert found.per_query["a"].index.tolist() == ["q1", "q2", "q4", "q3"]
    table = found.table()
    assert table["Coverage@2"].tolist() == [2 / 4, 3 / 4]
    assert table["Overlap(run='b')@2"].tolist() == pytest.approx([(1 / 2 + 1 / 2) / 3, (1 / 2 + 1 + 1 / 2) / 3])
    assert found.comparison is not None
    counts = found.comparison.set_index("measure")[["wins", "losses", "ties"]].sum(axis=1)
    assert counts["RR@10"] == 3
    assert counts["Coverage@2"] == 4
    shown = found.to_text().splitlines()
    assert shown[3].split()[-1] == "–"
    assert "4 queries, RR@10 over 3 of them, Overlap(run='b')@2 over 3 of them" in shown[-1]
    assert not found.intervals[["low", "high"]].isna().any(axis=None)
    found.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "runs").iterdir()} >= {"a.txt.gz", "b.txt.gz"}
    alone = evaluate_systems({}, queries, None, ["Coverage@2"], runs={"b": OTHER}, evidence=evidence)
    assert alone.table()["Coverage@2"].tolist() == [3 / 4]
    with pytest.raises(EvaluationError, match="both called 'a'"):
        evaluate_systems({"a": system}, queries, QRELS, runs={"a": OTHER})
    with pytest.raises(EvaluationError, match=r"'c'.*a, other"):
        evaluate_systems({"a": system}, queries, QRELS, ["Overlap(run='c')@2"], evidence=evidence)


@pytest.mark.parametrize("name", OWN_MEASURES)
def test_every_measure_is_known_described_and_computed(name: str, evidence: Evidence) -> None:
    measure = OWN_MEASURES[name]
    example = measure.example().replace("NAME", "other")
    assert name == measure.NAME.lower()
    assert OWN_MEASURES.summary(name)
    assert f"`{measure.NAME}" in (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert [str(parsed) for parsed in parse_measures([example])] == [example]
    run = RUN if type(measure).READS is check_run else pd.DataFrame({"qid": ["q1", "q2"], "qanswer": ["Paris", "Rome"]})
    values = evaluate(run, QRELS, [example], evidence=evidence)[example]
    assert values.notna().any() and values.between(0, 1)[values.notna()].all()
    with pytest.raises(UsageError, match=re.escape(measure.example())):
        parse_measures(["Nothing@3"])
