"""The engine terrier beside PyTerrier's own transformers over the same index, beside its formulas, and the Java that it shares."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir import jars
from ance_ir.errors import MissingDependencyError
from ance_ir.pipelines import RM3, BM25Index
from tests.engines import need
from tests.processes import printed_by

WORDS = [f"w{number}" for number in range(60)]
K1, B = 1.2, 0.5


def bags() -> dict[str, list[str]]:
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, len(WORDS) + 1)
    return {f"d{number}": list(random.choice(WORDS, random.integers(1, 30), p=weights / weights.sum())) for number in range(200)}


def frame(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"qid": [str(number) for number in range(len(texts))], "query": list(texts)})


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> BM25Index:
    need("terrier")
    documents = ({"docno": docno, "text": " ".join(bag)} for docno, bag in bags().items())
    return BM25Index(tmp_path_factory.mktemp("terrier") / "x", engine="terrier").index(documents)


def terriers(index: BM25Index) -> Any:
    """Terrier's own index in ours."""
    return pt.terrier.IndexFactory.of(str(index.path / "terrier"))


def test_scores_are_those_of_the_formula(index: BM25Index) -> None:
    documents, asked = bags(), ["w30", "w41", "w55"]
    mean = sum(map(len, documents.values())) / len(documents)
    found = index.retriever(k1=K1, b=B)(frame(" ".join(asked)))
    expected: dict[str, float] = {}
    for docno, bag in documents.items():
        for word in set(asked) & set(bag):
            among = sum(word in other for other in documents.values())
            idf = math.log2((len(documents) - among + 0.5) / (among + 0.5))
            count = bag.count(word)
            part = (K1 + 1) * count / (count + K1 * (1 - B + B * len(bag) / mean))
            expected[docno] = expected.get(docno, 0.0) + idf * part
    assert dict(zip(found["docno"], found["score"], strict=True)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rm3", [None, RM3(), RM3(3, 10, 0.6)], ids=repr)
def test_pyterriers_own_retriever_finds_the_same(index: BM25Index, rm3: RM3 | None) -> None:
    asked = frame("w20 w30", "W41", "w7, (w8)!", "w59 w58 w57 w56")
    found = index.retriever(20, rm3=rm3)(asked)
    own = pt.terrier.Retriever(terriers(index), wmodel="BM25", controls={"bm25.k_1": 0.9, "bm25.b": 0.4})
    pipeline = own
    if rm3:
        model = pt.rewrite.RM3(terriers(index), fb_docs=rm3.fb_docs, fb_terms=rm3.fb_terms, fb_lambda=rm3.original_query_weight)
        pipeline = own >> model >> own
    expected = pipeline(asked.assign(query=asked["query"].str.lower()))
    numbers = {docno: str(number) for number, docno in enumerate(bags())}
    for qid, results in found.groupby("qid"):
        scores = expected[expected["qid"] == qid].set_index("docno")["score"]
        assert len(results) == min(20, len(scores))
        assert results["score"].tolist() == pytest.approx(scores[results["docno"].map(numbers)].tolist(), rel=1e-6)
        assert results["score"].tolist() == pytest.approx(scores.sort_values(ascending=False)[: len(results)].tolist(), rel=1e-6)


def test_indexes_with_other_analyses_do_not_change_each_other(tmp_path: Path) -> None:
    need("terrier")
    documents = [{"docno": "a", "text": "the houses"}, {"docno": "b", "text": "a garden"}, {"docno": "c", "text": "rivers"}]
    stemmed = BM25Index(tmp_path / "x", engine="terrier").index(documents).retriever()
    plain = BM25Index(tmp_path / "y", engine="terrier", stemmer="none", stopwords="none").index(documents).retriever()
    for _ in range(2):
        assert [len(stemmed(frame(query))) for query in ("house", "houses", "the")] == [1, 1, 0]
        assert [len(plain(frame(query))) for query in ("house", "houses", "the")] == [0, 1, 1]


def test_without_its_jars_it_says_what_to_do_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pt.io, "pyterrier_home", lambda: str(tmp_path / "home"))
    monkeypatch.setattr(pt.java, "started", lambda: False)
    monkeypatch.setattr(jars, "_MAVEN", tmp_path / "maven")
    with pytest.raises(MissingDependencyError, match=r"needs the package terrier-assemblies \(a jar\).*home.*maven.*pt.java.init\(\)"):
        BM25Index(tmp_path, engine="terrier")
    (tmp_path / "home").mkdir()
    for version in ("5.9", "5.11"):
        (tmp_path / "home" / f"terrier-assemblies-{version}-jar-with-dependencies.jar").touch()
    with pytest.raises(MissingDependencyError, match=r"needs the package terrier-python-helper \(a jar\)"):
        BM25Index(tmp_path, engine="terrier")
    folder = tmp_path / "maven" / "terrier-python-helper" / "0.0.8"
    folder.mkdir(parents=True)
    (folder / "terrier-python-helper-0.0.8.jar").touch()
    assert BM25Index(tmp_path, engine="terrier").stemmer == "porter"
    assert list(jars.terrier_versions().values()) == ["5.11", "0.0.8"]


SHARED = """
import os, sys, urllib.request
from pathlib import Path
urllib.request.urlopen = None  # nothing is looked up
# as an installed package has it, for a checkout that is not installed
described = Path(sys.argv[1], "ance_ir-0.dist-info")
described.mkdir()
(described / "METADATA").write_text("Metadata-Version: 2.1\\nName: ance_ir\\nVersion: 0\\n")
(described / "entry_points.txt").write_text("[pyterrier.java.init]\\nance_ir = ance_ir.java:AnseriniJava\\n")
sys.path.insert(0, sys.argv[1])
import pyterrier as pt
documents = [{"docno": "a", "text": "an apple"}, {"docno": "b", "text": "a walnut"}, {"docno": "c", "text": "pears"}]
def pyterrier():
    pt.java.mavenresolver.offline()
    place = pt.terrier.IterDictIndexer(str(Path(sys.argv[1], "own"))).index(documents)
    return pt.terrier.Retriever(place, wmodel="PL2").search("walnut")["docno"].tolist()
def engine(name):
    from ance_ir.pipelines import BM25Index
    return BM25Index(Path(sys.argv[1], name), engine=name).index(iter(documents)).retriever().search("walnuts")["docno"].tolist()
before = os.environ.get("JAVA_HOME")
told = False
for name in sys.argv[2:]:
    print(name, pyterrier() if name == "pyterrier" else engine(name))
    told = told or name == "pyterrier"
    assert pt.java.mavenresolver.online_mode().name == ("OFFLINE" if told else "UNSET")
assert os.environ.get("JAVA_HOME") == before
"""
FORKED = """
from ance_ir.pipelines import BM25Index
if os.fork() == 0:
    for name in ("lucene", "terrier"):
        try:
            BM25Index(Path(sys.argv[1], f"{name} of the child"), engine=name).index(iter(documents))
        except Exception as error:
            print(error)
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["pyterrier", "terrier", "lucene"])
def test_lucene_and_terrier_work_in_one_process_whoever_starts_java(tmp_path: Path, first: str) -> None:
    need("terrier", "lucene")
    order = [first, *(name for name in ("lucene", "terrier", "pyterrier") if name != first)]
    assert printed_by(SHARED, tmp_path, *order).splitlines() == [f"{name} ['b']" for name in order]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["pyterrier", "terrier"])
def test_a_child_is_told_that_it_cannot_use_its_parents_java(tmp_path: Path, first: str) -> None:
    need("terrier", "lucene")
    _, *refused = printed_by(SHARED + FORKED, tmp_path, first).splitlines()
    assert ["Java runs in the process that this one was forked from" in line for line in refused] == [True, True]


@pytest.mark.slow
def test_they_do_so_in_a_notebook(tmp_path: Path) -> None:
    need("terrier", "lucene")
    nbformat = pytest.importorskip("nbformat")
    from tests.notebooks import execute, outputs

    order = ["pyterrier", "lucene", "terrier"]
    code = f"import sys; sys.argv = {['-c', str(tmp_path), *order]}\n{SHARED}"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=metadata), tmp_path / "x.ipynb")
    printed = "".join(output["text"] for _, output in outputs(execute(tmp_path / "x.ipynb", tmp_path)) if output.get("name") == "stdout")
    assert printed.splitlines() == [f"{name} ['b']" for name in order]
