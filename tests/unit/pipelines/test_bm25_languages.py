"""BM25 in other languages than English."""

from __future__ import annotations

import contextlib
import itertools
import json
import string
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ance_ir import load_dataset
from ance_ir.errors import IndexingError, UsageError
from ance_ir.java import java_class
from ance_ir.pipelines import BM25Index, Systems, dataset_bm25
from ance_ir.pipelines.bm25.engine import Analysis, find_analysis
from ance_ir.pipelines.bm25.engines import ENGINES, lucene
from ance_ir.pipelines.bm25.languages import stemmed_languages
from tests.engines import need

DOCUMENTS = {
    "de": [
        {"docno": "a", "text": "Die Häuser an der Straße sind alt."},
        {"docno": "b", "text": "Das Haus im Garten"},
        {"docno": "c", "text": "Züge fahren nach München"},
        {"docno": "d", "text": "Äpfel und Birnen"},
    ],
    "fr": [
        {"docno": "a", "text": "Les maisons de la rue sont vieilles."},
        {"docno": "b", "text": "L'avion est parti hier"},
        {"docno": "c", "text": "Les chevaux blancs"},
        {"docno": "d", "text": "des pommes et des poires"},
    ],
}


def frame(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"qid": [str(number) for number in range(len(texts))], "query": list(texts)})


def found(index: BM25Index, query: str) -> set[str]:
    return set(index.retriever()(frame(query))["docno"])


def terms(analyser: Any, text: str) -> list[str]:
    words = java_class("io.anserini.analysis.AnalyzerUtils").analyze(analyser, text)
    return [words.get(place) for place in range(words.size())]


def test_lucenes_analyser_of_the_language_reads_documents_and_queries(tmp_path: Path) -> None:
    need("lucene")
    german = BM25Index(tmp_path / "de", engine="lucene", language="de").index(DOCUMENTS["de"])
    assert found(german, "strassen") == {"a"}
    assert found(german, "haus") == found(german, "HÄUSER") == {"a", "b"}
    assert found(german, "die und der") == set()
    french = BM25Index(tmp_path / "fr", engine="lucene", language="fr-FR").index(DOCUMENTS["fr"])
    assert (found(french, "maison"), found(french, "avions"), found(french, "cheval"), found(french, "les")) == ({"a"}, {"b"}, {"c"}, set())
    plain = BM25Index(tmp_path / "none", engine="lucene", language="fr", stemmer="none").index(DOCUMENTS["fr"])
    assert (found(plain, "maison"), found(plain, "MAISONS"), found(plain, "les")) == (set(), {"a"}, {"a", "c"})


@pytest.mark.parametrize(
    ("language", "kind", "text"),
    [
        ("de", "de.GermanAnalyzer", "Die schönsten Häuser der Städte gefielen den Großmüttern"),
        ("ar", "ar.ArabicAnalyzer", "والكتاب الكبير في المكتبة الجديدة كتب"),
        ("ja", "ja.JapaneseAnalyzer", "関西国際空港で電車に乗りました"),
        ("zh", "cjk.CJKAnalyzer", "今天天气很好"),
    ],
)
def test_words_are_those_that_lucene_makes(language: str, kind: str, text: str) -> None:
    need("lucene")
    analysis = find_analysis(ENGINES["lucene"], None, None, language)
    own = terms(java_class(f"org.apache.lucene.analysis.{kind}")(), text)
    assert len(own) > 1
    assert terms(lucene._analyzer(analysis), text) == own
    assert own != terms(lucene._analyzer(Analysis(stemmer="porter", stopwords="lucene")), text)


def test_the_languages_are_those_of_anserini() -> None:
    need("lucene")
    from jnius import JavaException

    known = set()
    for letters in itertools.product(string.ascii_lowercase, repeat=2):
        with contextlib.suppress(JavaException):  # it has no such language
            lucene._analyzer(Analysis(stemmer="lucene", stopwords="lucene", language="".join(letters)))
            known.add("".join(letters))
    assert set(ENGINES["lucene"].languages) == known - {"en"}


def test_the_index_knows_its_language(tmp_path: Path) -> None:
    need("lucene")
    index = BM25Index(tmp_path / "x", engine="lucene", language="de").index(DOCUMENTS["de"])
    assert json.loads((index.path / "manifest.json").read_text())["language"] == "de"
    with pytest.raises(IndexingError, match="de"):
        BM25Index(index.path, engine="lucene", stemmer="none").retriever()
    with pytest.raises(IndexingError, match="de"):
        BM25Index(index.path, engine="lucene", language="fr").retriever()
    english = BM25Index(tmp_path / "y", engine="lucene", stopwords="lucene").index(DOCUMENTS["de"])
    manifest = json.loads((english.path / "manifest.json").read_text())
    del manifest["language"]  # as older versions wrote it
    (english.path / "manifest.json").write_text(json.dumps(manifest))
    assert found(BM25Index(english.path, engine="lucene"), "Garten") == {"b"}
    assert len({index.fingerprint, english.fingerprint, BM25Index(english.path, engine="lucene").fingerprint}) == 2


@pytest.mark.parametrize("engine", ["pisa", "terrier"])
def test_an_engine_that_stems_english_alone_says_what_to_do(engine: str, tmp_path: Path) -> None:
    need(engine)
    with pytest.raises(UsageError, match=r"'de'.*engine=lucene.*stemmer=none"):
        BM25Index(tmp_path / "x", engine=engine, language="de")
    with pytest.raises(UsageError, match="stop words"):
        BM25Index(tmp_path / "x", engine=engine, language="de", stemmer="none", stopwords="terrier")
    index = BM25Index(tmp_path / "x", engine=engine, language="de", stemmer="none").index(DOCUMENTS["de"])
    assert (found(index, "GARTEN"), found(index, "Gärten"), found(index, "der")) == ({"b"}, set(), {"a"})
    if engine == "terrier":
        assert found(index, "häuser") == {"a"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"language": "cs"}, "ar, bn"), ({"language": "German"}, "ISO 639"), ({"language": "de", "stemmer": "porter"}, "lucene, none")],
)
def test_languages_that_cannot_be_meant_are_refused(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    need("lucene")
    with pytest.raises(UsageError, match=named):
        BM25Index(tmp_path, engine="lucene", **settings)


def test_the_datasets_language_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("lucene", "pisa")
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS["fr"]), encoding="utf-8")
    (folder / "README.md").write_text("---\nlanguage: fr\n---\n", encoding="utf-8")
    dataset = load_dataset(folder)
    index = dataset_bm25(dataset)
    assert (index.engine, index.language) == ("lucene", "fr")
    assert found(index, "cheval") == {"c"}
    with pytest.raises(UsageError, match="'fr'"):
        dataset_bm25(dataset, engine="pisa")
    english, plain = dataset_bm25(dataset, language="en"), dataset_bm25(dataset, stemmer="none")
    assert (english.engine, plain.engine) == ("pisa", "pisa")
    assert len({index.path, english.path, plain.path}) == 3
    assert [stemmed_languages(one.retriever() % 5 >> dataset.text_loader()) for one in (index, english, plain)] == [{"fr"}, {"en"}, set()]
    pipeline = Systems(dataset, num_results=10).parse("bm25[engine=lucene; language=de]")[1]
    assert stemmed_languages(pipeline) == {"de"}
