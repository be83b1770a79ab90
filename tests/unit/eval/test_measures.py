from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytrec_eval

from ance_ir.datasets import load_dataset
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval import evaluate, parse_measures, write_run
from ance_ir.eval.measures import judged_split
from ance_ir.notices import collected

QRELS = pd.DataFrame(
    [("q1", "a", 1), ("q1", "b", 0), ("q1", "c", 3), ("q2", "a", 1), ("q3", "z", 0), ("q4", "b", 2)],
    columns=["qid", "docno", "label"],
)
RUN = pd.DataFrame(
    # q1: all equal, so c, b, a; q2 is missing; q3 has nothing relevant; q5 has no qrels
    [
        ("q5", "a", 1.0),
        ("q4", "a", 1.0),
        ("q4", "u", 0.5),
        ("q4", "b", 0.2),
        ("q1", "a", 2.0),
        ("q1", "b", 2.0),
        ("q1", "c", 2.0),
        ("q3", "z", 1.0),
    ],
    columns=["qid", "docno", "score"],
)


def random_case(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A run with many ties, and graded qrels; some queries lack results, some judgements."""
    random = np.random.default_rng(seed)
    documents = [f"d{number}" for number in range(60)]
    run = [
        (f"q{query}", docno, float(random.integers(0, 6)))
        for query in range(0, 20)
        for docno in random.permutation(documents)[: random.integers(1, 50)]
    ]
    qrels = [(f"q{query}", docno, int(random.integers(0, 4))) for query in range(3, 25) for docno in random.permutation(documents)[:12]]
    return pd.DataFrame(run, columns=["qid", "docno", "score"]), pd.DataFrame(qrels, columns=["qid", "docno", "label"])


def plain(run: pd.DataFrame, qrels: pd.DataFrame, qid: str) -> tuple[float, float, float]:
    """RR@10, nDCG@10 and R@100 as their definitions say."""
    results = sorted(run[run["qid"] == qid][["score", "docno"]].itertuples(index=False), reverse=True)
    label = {docno: label for q, docno, label in qrels.itertuples(index=False) if q == qid}
    gains = [label.get(docno, 0) for _, docno in results]
    rr = next((1 / rank for rank, gain in enumerate(gains[:10], 1) if gain > 0), 0.0)
    dcg, ideal = (
        sum(gain / math.log2(rank + 1) for rank, gain in enumerate(order[:10], 1))
        for order in (gains, sorted(label.values(), reverse=True))
    )
    relevant = sum(gain > 0 for gain in label.values())
    return rr, dcg / ideal if ideal else 0.0, sum(gain > 0 for gain in gains[:100]) / relevant if relevant else 0.0


def test_every_query_of_the_qrels_counts_and_no_other() -> None:
    values = evaluate(RUN, QRELS)
    assert values.index.tolist() == ["q1", "q2", "q3", "q4"]
    assert values.index.name == "qid"
    assert values.columns.tolist() == ["RR@10", "nDCG@10", "R@100"]
    assert values["RR@10"].tolist() == pytest.approx([1.0, 0.0, 0.0, 1 / 3])
    assert values["R@100"].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert values["nDCG@10"]["q1"] == pytest.approx((3 + 1 / math.log2(4)) / (3 + 1 / math.log2(3)))


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_definitions(seed: int) -> None:
    run, qrels = random_case(seed)
    values = evaluate(run, qrels)
    assert len(values) == 22
    for qid, row in values.iterrows():
        assert row.tolist() == pytest.approx(plain(run, qrels, str(qid)))


@pytest.mark.parametrize("seed", range(5))
def test_values_are_trec_evals_on_the_run_as_written(tmp_path: Path, seed: int) -> None:
    run, qrels = random_case(seed)
    write_run(run, tmp_path / "run", "t")
    with (tmp_path / "run").open(encoding="utf-8") as stream:
        written = pytrec_eval.parse_run(stream)
    judged: dict[str, dict[str, int]] = {}
    for qid, docno, label in qrels.itertuples(index=False):
        judged.setdefault(qid, {})[docno] = label
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut_10", "map", "recip_rank", "recall_5"}).evaluate(written)
    ours = evaluate(run, qrels, ["nDCG@10", "AP", "RR", "R@5"])
    for qid, values in theirs.items():
        assert ours.loc[qid].tolist() == pytest.approx([values[name] for name in ("ndcg_cut_10", "map", "recip_rank", "recall_5")])


def test_the_order_is_the_same_for_every_provider() -> None:
    # RR@10 comes from another provider than RR, which breaks ties in its own way
    run = pd.DataFrame({"qid": "q", "docno": list("abcdefghij"), "score": 1.0})
    qrels = pd.DataFrame({"qid": ["q"], "docno": ["a"], "label": [1]})
    assert evaluate(run, qrels, ["RR@10", "RR", "Judged@9", "P@9"]).loc["q"].tolist() == pytest.approx([0.1, 0.1, 0.0, 0.0])
    assert evaluate(run, qrels.assign(docno="j"), ["RR@10", "RR"]).loc["q"].tolist() == [1.0, 1.0]


def test_a_run_without_results_is_all_zeros() -> None:
    assert (evaluate(RUN.head(0), QRELS) == 0).all(axis=None)


def test_binary_measures_take_a_threshold() -> None:
    values = evaluate(RUN, QRELS, ["RR(rel=2)@10", "R(rel=2)@1", "AP(rel=2)"])
    assert values.columns.tolist() == ["RR(rel=2)@10", "R(rel=2)@1", "AP(rel=2)"]
    assert values.loc["q1"].tolist() == [1.0, 1.0, 1.0]
    assert values.loc["q2"].tolist() == [0.0, 0.0, 0.0]


def test_names_of_the_field_mean_the_same_measure() -> None:
    names = [str(measure) for measure in parse_measures(["MRR@10", "NDCG@10", "Recall@100", "MAP", "RR@10"])]
    assert names == ["RR@10", "nDCG@10", "R@100", "AP"]


@pytest.mark.parametrize(
    "name",
    ["foo", "nDCG@@", "", "R", "nDCG(foo=1)@5", "RR(rel=2,rel=3)@5", "nDCG@'10'", "RR@1.5", "nDCG(dcg='x')@5", "RR(judged_only=True)@10"],
)
def test_unknown_measures_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(name))):
        evaluate(RUN, QRELS, ["RR@10", name])
    with pytest.raises(UsageError):
        evaluate(RUN, QRELS, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((f"{name}@0", "0") for name in ("nDCG", "P", "AP", "R", "Success", "RR", "Judged", "Accuracy", "ERR", "Hole", "Coverage")),
        ("nDCG@-1", "nDCG@-1"),
        ("nDCG@2147483648", "2147483648"),
        ("P@99999999999999999999", "99999999999999999999"),
        ("nDCG@True", "True"),
        *((f"{name}", "0") for name in ("AP(rel=0)", "RR(rel=0)@10", "P(rel=0)@5", "Bpref(rel=0)", "SetF(rel=0)")),
        ("R(rel=-1)@5", "R(rel=-1)@5"),
        ("AP(rel=True)", "True"),
        ("AP(rel=3000000000)", "3000000000"),
        ("IPrec@1.5", "1.5"),
        ("Compat(p=1.5)", "1.5"),
        ("RR(judged_only=1)", "1"),
        ("nDCG(gains={'a': 2})@5", "'a'"),
        ("nDCG(gains={})@5", "{}"),
    ],
)
def test_parameters_without_a_sense_are_refused_before_a_provider_sees_them(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=re.escape(value)):
        parse_measures([name])


def test_the_largest_parameters_are_computed() -> None:
    values = evaluate(RUN, QRELS, ["nDCG@2147483647", "nDCG", "AP(rel=2147483647)"])
    assert values["nDCG@2147483647"].tolist() == values["nDCG"].tolist()
    assert (values["AP(rel=2147483647)"] == 0).all()


def test_no_measure_changes_with_those_beside_it() -> None:
    run, qrels = random_case(1)
    names = ["nDCG@5", "nDCG(gains={1: 5, 2: 1})@5", "nDCG(judged_only=True)@5", "NumRet", "P(judged_only=True)@5", "Accuracy@5", "RR@10"]
    alone = {str(measure): evaluate(run, qrels, [name]).iloc[:, 0] for measure, name in zip(parse_measures(names), names, strict=True)}
    together = evaluate(run, qrels, names)
    assert list(together) == list(alone)
    for name, values in alone.items():
        assert together[name].equals(values), name


def test_queries_of_every_name_are_told_apart_by_every_provider() -> None:
    # gdeval takes numbers only, and "1" and "01" for the same one
    names = {"q1": "1", "q2": "01", "q3": "MB-7", "q4": "ü"}
    numbers = {"q1": "1", "q2": "2", "q3": "3", "q4": "4"}
    named, numbered = (evaluate(RUN.replace(qids), QRELS.replace(qids), ["ERR@5"])["ERR@5"] for qids in (names, numbers))
    assert named.index.tolist() == list(names.values())
    assert named.tolist() == numbered.tolist()
    assert (named > 0).tolist() == [True, False, False, True]


def test_a_provider_that_fails_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TypeError("Expected\nsomething")

    monkeypatch.setattr("ir_measures.providers.pytrec_eval_provider.PytrecEvalProvider._evaluator", fail)
    with pytest.raises(EvaluationError) as caught:
        evaluate(RUN, QRELS, ["nDCG@7"])
    assert "nDCG@7" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"the run: .*qid.*5 \(int\)"):
        evaluate(RUN.assign(qid=RUN["qid"].str[1:].astype(int)), QRELS)
    with pytest.raises(EvaluationError, match="qid docno label; label missing, found qid docno"):
        evaluate(RUN, QRELS[["qid", "docno"]])
    with pytest.raises(EvaluationError, match="score missing, found qid docno"):
        evaluate(RUN[["qid", "docno"]], QRELS)
    with pytest.raises(EvaluationError, match="no qrels"):
        evaluate(RUN, QRELS.head(0))
    for label in (0.5, float("nan"), "1", True):
        with pytest.raises(EvaluationError, match=rf"the qrels: .*{label!r}"):
            evaluate(RUN, QRELS.assign(label=label))
    for label in (1001, -1001, 2**31, 10**20):
        with pytest.raises(EvaluationError, match=rf"found {label} for query 'q\d' and document"):
            evaluate(RUN, QRELS.assign(label=[*QRELS["label"].iloc[:-1], label]))
    for missing in (pd.array([1] * (len(QRELS) - 1) + [None], dtype="Int64"), [1.0] * (len(QRELS) - 1) + [None]):
        with pytest.raises(EvaluationError, match=QRELS["docno"].iloc[-1]):
            evaluate(RUN, QRELS.assign(label=missing))
    with pytest.raises(EvaluationError, match="NoneType"):
        evaluate(None, QRELS)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match=r"the run: .*docno.*7 \(int\)"):
        evaluate(RUN.assign(docno=7), QRELS)
    with pytest.raises(EvaluationError, match=r"the qrels: .*qid.*5 \(int\)"):
        evaluate(RUN, QRELS.assign(qid=5))
    with pytest.raises(EvaluationError, match=r"the qrels: .*docno.*None"):
        evaluate(RUN, QRELS.assign(docno=None))
    with pytest.raises(EvaluationError, match=r"scores are numbers: .*'high'"):
        evaluate(RUN.assign(score="high"), QRELS)
    with pytest.raises(EvaluationError, match="query q5: document a comes twice"):
        evaluate(pd.concat([RUN, RUN]), QRELS)


def test_a_judgement_that_comes_again_counts_once_and_another_label_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    expected = evaluate(RUN, QRELS)
    assert not caplog.records
    pd.testing.assert_frame_equal(evaluate(RUN, pd.concat([QRELS, QRELS])), expected)
    (record,) = caplog.records
    assert str(len(QRELS)) in record.message
    again = QRELS.iloc[[0]].assign(label=QRELS["label"].iloc[0] + 1)
    with pytest.raises(EvaluationError, match=rf"{QRELS['docno'].iloc[0]!r}.* row 0.* row {len(QRELS)}"):
        evaluate(RUN, pd.concat([QRELS, again]))


def test_labels_may_be_of_any_type_of_integers() -> None:
    expected = evaluate(RUN, QRELS)
    for kind in ("Int64", "int8", "object"):
        pd.testing.assert_frame_equal(evaluate(RUN, QRELS.astype({"label": kind})), expected)


def test_white_space_around_ids_of_frames_is_no_part_of_them(caplog: pytest.LogCaptureFixture) -> None:
    expected = evaluate(RUN, QRELS)
    spaced = QRELS.assign(qid=QRELS["qid"] + " ", docno="\t" + QRELS["docno"])
    pd.testing.assert_frame_equal(evaluate(RUN.assign(qid="\ufeff" + RUN["qid"]), spaced), expected)
    assert len(caplog.records) == 2
    with pytest.raises(EvaluationError, match=r"the run: .*'a b'"):
        evaluate(RUN.assign(docno="a b"), QRELS)


def test_dev_queries_that_are_left_out_or_cannot_be_met_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"docno": "d1", "text": "a"}\n')
    (tmp_path / "queries.dev.tsv").write_text("q1\tone\nq2\ttwo\nq3\tthree\n")
    (tmp_path / "qrels.dev.txt").write_text("q1 0 d1 1\nq2 0 d1 0\nq4 0 d1 1\n")
    with collected() as notices:
        queries, _ = judged_split(load_dataset(tmp_path), "dev")
    assert queries["qid"].tolist() == ["q1", "q2"]
    for qid, notice in zip(("q3", "q4", "q2"), notices, strict=True):
        assert repr(qid) in notice


@pytest.mark.parametrize("depth", [150, 199, 5000])
def test_brackets_that_python_gives_up_on_are_refused(depth: int) -> None:
    with pytest.raises(UsageError):
        parse_measures(["RBP(p=0.8," + "[" * depth])
