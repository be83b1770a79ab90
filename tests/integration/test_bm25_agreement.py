"""The engines of BM25 beside each other: with the same analysis they rank alike, as far as their tokenisers and formulas do."""

from __future__ import annotations

import re
from pathlib import Path

import ir_measures
import numpy as np
import pandas as pd
import pytest
from ir_measures import RR, nDCG

from ance_ir import load_dataset
from ance_ir.datasets import Dataset
from ance_ir.java import java_class
from ance_ir.pipelines import RM3, BM25Index
from tests.engines import missing

pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(reason := missing("pisa") or missing("lucene")), reason=reason)]

SAME = {"stemmer": "krovetz", "stopwords": "lucene"}
"""The nearest that the two come to each other."""

ENGINES = [engine for engine in ("pisa", "terrier", "lucene") if not missing(engine)]

STOPWORDS = (0.6, 0.05)
"""The least overlap and the most difference of a measure where Terrier's long list of stop words meets Lucene's short one."""
STEMS = (0.85, 0.03)
"""With one list, where Porter's first stemmer meets his second, or tokenisers split differently."""
FORMULA = (0.93, 0.015)
"""With the same terms: Lucene's idf is never 0 and it keeps a length in a byte."""
ROUNDING = (0.97, 0.005)
"""With the same terms and formula: documents whose scores differ by rounding alone."""

BARS = {
    ("pisa", "lucene"): {"": STOPWORDS, ", same": STEMS, ", words": FORMULA},
    ("terrier", "pisa"): {"": STEMS, ", words": ROUNDING},
    ("terrier", "lucene"): {"": STOPWORDS, ", words": FORMULA},
}
"""What differs between two engines in each analysis that is compared."""


def overlap(first: pd.DataFrame, second: pd.DataFrame, depth: int = 10) -> float:
    """The mean share of the first documents that two runs have in common, over queries for which either found something."""
    found = [{qid: set(results["docno"]) for qid, results in run[run["rank"] < depth].groupby("qid")} for run in (first, second)]
    shares = [
        len(found[0].get(qid, set()) & found[1].get(qid, set())) / max(len(run.get(qid, set())) for run in found)
        for qid in found[0].keys() | found[1].keys()
    ]
    return float(np.mean(shares))


def quality(run: pd.DataFrame, dataset: Dataset) -> dict[str, float]:
    renamed = run.rename(columns={"qid": "query_id", "docno": "doc_id"})
    qrels = dataset.qrels().rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})
    return {str(measure): value for measure, value in ir_measures.calc_aggregate([nDCG @ 10, RR @ 10], qrels, renamed).items()}


def runs(dataset: Dataset, folder: Path) -> dict[str, pd.DataFrame]:
    found = {}
    analyses = [*((engine, "", {}) for engine in ENGINES), *((engine, ", same", SAME) for engine in ("pisa", "lucene"))]
    for engine, name, settings in analyses:
        index = BM25Index(folder / f"{engine}{name}", engine=engine, **settings).index(dataset.documents())  # type: ignore[arg-type]
        found[f"{engine}{name}"] = index.retriever(100)(dataset.queries())
    found["lucene, same, rm3"] = index.retriever(100, rm3=RM3())(dataset.queries())
    # both get the words that Lucene's analyser finds: what is left is the formulas
    analyser = java_class("io.anserini.analysis.DefaultEnglishAnalyzer").newStemmingInstance("krovetz")
    analyse = java_class("io.anserini.analysis.AnalyzerUtils").analyze

    def plain(text: str) -> str:
        words = analyse(analyser, text)
        return " ".join(word for word in (words.get(place) for place in range(words.size())) if re.fullmatch("[a-z0-9]+", word))

    asked = dataset.queries().assign(query=[plain(query) for query in dataset.queries()["query"]])
    for engine in ENGINES:
        documents = ({"docno": row["docno"], "text": plain(f"{row.get('title') or ''} {row['text']}")} for row in dataset.documents())
        index = BM25Index(folder / f"{engine}-words", engine=engine, stemmer="none", stopwords="none").index(documents)
        found[f"{engine}, words"] = index.retriever(100)(asked)
    return found


@pytest.mark.parametrize("name", [pytest.param("vaswani", marks=pytest.mark.slow), pytest.param("msmarco-mini", marks=pytest.mark.large)])
def test_the_engines_agree_on_real_collections(name: str, tmp_path: Path, data_dir: Path) -> None:
    dataset = load_dataset(str(data_dir / name))
    found = runs(dataset, tmp_path)
    measured = {system: quality(run, dataset) for system, run in found.items()}
    print(pd.DataFrame(measured).T.round(4).to_string())
    for (one, other), bars in BARS.items():
        for ending, (least, difference) in bars.items() if {one, other} <= set(ENGINES) else ():
            shared = overlap(found[f"{one}{ending}"], found[f"{other}{ending}"])
            print(f"{one}, {other}{ending}: {shared:.3f}")
            assert shared > least
            for measure in ("nDCG@10", "RR@10"):
                assert measured[f"{one}{ending}"][measure] == pytest.approx(measured[f"{other}{ending}"][measure], abs=difference)


def test_the_engines_agree_on_plain_words(tmp_path: Path) -> None:
    # words that both cut and stem alike, and texts of one length, of which Lucene's coarse lengths and PISA's exact ones are the same
    random = np.random.default_rng(0)
    words = [f"w{number}" for number in range(300)]
    weights = 1 / np.arange(1, 301)
    documents = [{"docno": f"d{number}", "text": " ".join(random.choice(words, 20, p=weights / weights.sum()))} for number in range(1000)]
    asked = pd.DataFrame(
        {"qid": [str(number) for number in range(50)], "query": [" ".join(random.choice(words[20:], 2)) for _ in range(50)]}
    )
    pisa, lucene = (
        BM25Index(tmp_path / engine, engine=engine).index(iter(documents)).retriever(10)(asked) for engine in ("pisa", "lucene")
    )
    assert overlap(pisa, lucene) > 0.97
    one = pd.DataFrame({"qid": ["1"], "query": [words[50]]})
    pisa, lucene = (BM25Index(tmp_path / engine, engine=engine).retriever(10)(one) for engine in ("pisa", "lucene"))
    assert pisa["docno"].tolist() == lucene["docno"].tolist(), "one word: the same order, ties included"
