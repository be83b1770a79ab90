"""The engine terrier: what is asked of PyTerrier, seen by a stand-in for it; with Terrier itself where its jars are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import IndexingError, MissingDependencyError
from ance_ir.pipelines import BM25Index
from ance_ir.pipelines.bm25 import jars
from tests.processes import printed_by

DOCUMENTS = [{"docno": f"d{number:02}", "text": "walnut juice"} for number in range(20)]
DOCUMENTS += [{"docno": "é", "title": "Apple", "text": "trees\nand \0"}, {"docno": "empty", "text": ""}]
QUERIES = pd.DataFrame({"qid": list("abcd"), "query": ["walnut", "?! ()", "apple^2 AND (trees:", ""]})


def check(index: BM25Index) -> None:
    found = index.retriever(3, k1=1.2, b=0.75)(QUERIES)
    assert found[["qid", "docno", "rank"]].to_numpy().tolist() == [["a", "d19", 0], ["a", "d18", 1], ["a", "d17", 2], ["c", "é", 0]]
    assert BM25Index(index.path, engine="terrier").retriever(3, k1=1.2, b=0.75)(QUERIES).equals(found)
    with pytest.raises(IndexingError, match="built with stemmer='porter', not 'none'"):
        BM25Index(index.path, engine="terrier", stemmer="none").retriever()


def test_terrier_where_its_jars_are(tmp_path: Path) -> None:
    try:
        index = BM25Index(tmp_path / "x", engine="terrier")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    check(index.index(iter(DOCUMENTS)))


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


class Indexer:
    """Terrier's files are a table of words here."""

    def __init__(self, folder: str, **settings: Any) -> None:
        assert settings == {"stemmer": "porter", "stopwords": "terrier"}
        self.folder = Path(folder)

    def index(self, documents: Iterable[dict[str, str]]) -> None:
        self.folder.mkdir()
        pd.DataFrame(list(documents)).to_json(self.folder / "data.json")


class Opened:
    @staticmethod
    def of(folder: str) -> Opened:
        opened = Opened()
        opened.documents = pd.read_json(Path(folder, "data.json"), dtype=False)
        return opened

    documents: pd.DataFrame

    def getCollectionStatistics(self) -> Opened:
        return self

    def getNumberOfDocuments(self) -> int:
        return len(self.documents)


class Retriever:
    def __init__(self, index: Opened, *, wmodel: str, controls: dict[str, Any], num_results: int, **_: Any) -> None:
        assert (wmodel, controls) == ("BM25", {"bm25.k_1": 1.2, "bm25.b": 0.75})
        self.index, self.num_results = index, num_results

    def transform(self, queries: pd.DataFrame) -> pd.DataFrame:
        rows = []
        for qid, query in zip(queries["qid"], queries["query"], strict=True):
            assert query and all(word.isalnum() for word in query.split())
            scores = {
                docno: float(sum(Counter(text.lower().split())[word] for word in query.lower().split()))
                for docno, text in zip(self.index.documents["docno"], self.index.documents["text"], strict=True)
            }
            best = sorted((entry for entry in scores.items() if entry[1]), key=lambda entry: -entry[1])[: self.num_results]
            rows += [{"qid": qid, "docno": docno, "score": score} for docno, score in best]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])


def test_what_is_asked_of_terrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pt.java, "started", lambda: True)
    monkeypatch.setattr(pt.terrier, "IterDictIndexer", Indexer)
    monkeypatch.setattr(pt.terrier, "IndexFactory", Opened)
    monkeypatch.setattr(pt.terrier, "Retriever", Retriever)
    index = BM25Index(tmp_path / "x", engine="terrier").index(iter(DOCUMENTS))
    assert sorted(path.name for path in index.path.iterdir()) == ["docnos", "manifest.json", "terrier", "tie_order.npy"]
    check(index)


@pytest.mark.slow
@pytest.mark.parametrize("engines", [("terrier", "lucene"), ("lucene", "terrier")])
def test_both_engines_on_java_work_in_one_process_in_either_order(tmp_path: Path, engines: tuple[str, str]) -> None:
    if not all(jars.terrier_versions().values()) or jars.find_anserini() is None:
        pytest.skip("the jars of Terrier and Anserini are not both here")
    code = """
import sys
from pathlib import Path
import pandas as pd
from ance_ir.pipelines import BM25Index
documents = [{"docno": "a", "text": "an apple"}, {"docno": "b", "text": "a walnut"}]
for engine in sys.argv[2:]:
    retriever = BM25Index(Path(sys.argv[1], engine), engine=engine).index(iter(documents)).retriever()
    print(engine, retriever.search("walnuts")["docno"].tolist())
import pyterrier as pt
print(pt.terrier.Retriever(str(Path(sys.argv[1], "terrier", "terrier")), wmodel="PL2").search("apples")["docno"].tolist())
"""
    assert printed_by(code, tmp_path, *engines).splitlines() == [*(f"{engine} ['b']" for engine in engines), "['0']"]
