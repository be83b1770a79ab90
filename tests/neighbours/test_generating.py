"""pyterrier-rag's readers and pyterrier-generative's listwise rerankers over our retriever; our readers in such pipelines."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import AnswerReader, BestAnswer
from tests.neighbours.conftest import needs
from tests.tiny import reader

pytestmark = pytest.mark.integration
pyterrier_rag = needs("pyterrier_rag")

from tests.neighbours.generating import Told  # noqa: E402  # it is a class of pyterrier-rag's


@pytest.fixture(scope="session")
def loader(documents: list[dict[str, str]]) -> pt.Transformer:
    """Adds the documents' texts."""
    known = {one["docno"]: one["text"] for one in documents}
    return pt.apply.text(lambda row: known[row["docno"]])


def test_its_reader_reads_what_ours_found(index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame, loader: pt.Transformer) -> None:
    """The prompt holds the texts of the documents that our retriever found, the best first."""
    told = Told(lambda prompt: prompt.split()[-2])
    found = (index.retriever(model, 3) >> loader)(queries)
    prompting = importlib.import_module("pyterrier_rag.prompt")
    pipeline = index.retriever(model, 3) >> loader >> prompting.Concatenator() >> pyterrier_rag.readers.Reader(told)
    answers = pipeline(queries)
    assert sorted(answers["qid"]) == queries["qid"].to_list()
    for qid, prompt in zip(answers["qid"], told.prompts, strict=True):
        places = [prompt.index(text) for text in found.loc[found["qid"] == qid, "text"]]
        assert places == sorted(places)


def test_our_reader_answers_and_its_measures_judge(
    index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame, loader: pt.Transformer
) -> None:
    pipeline = index.retriever(model, 3) >> loader >> AnswerReader(reader()) >> BestAnswer()
    answers = pipeline(queries)
    gold = answers[["qid", "qanswer"]].rename(columns={"qanswer": "gold_answer"})
    gold.at[0, "gold_answer"] = "something else"
    table = pt.Experiment([pipeline], queries, gold, [pyterrier_rag.measures.EM, pyterrier_rag.measures.F1], names=["ours"])
    assert table["EM"].to_list() == [0.75]
    assert 0.75 <= table["F1"][0] < 1


def test_hyde(index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame) -> None:
    """The query's vector averaged with those of documents that a language model made up: the documents found are those nearest to it."""
    told = Told(lambda prompt: f"{prompt} moon")
    hyde = told.text_generator(input_field="query", output_field="qdocument") >> pt.apply.query_vec(
        lambda row: (model.encode_queries([row["query"]]) + model.encode_passages([row["qdocument"]]))[0] / 2
    )
    found = (hyde >> index.retriever(model, 5))(queries)
    assert told.prompts == queries["query"].to_list()
    vectors = (model.encode_queries(told.prompts) + model.encode_passages([f"{query} moon" for query in told.prompts])) / 2
    _, documents = index.search_vectors(vectors, 5)
    assert found["docno"].to_list() == index.docnos(documents.ravel()).tolist()
    plain = index.retriever(model, 5)(queries)
    assert found["docno"].to_list() != plain["docno"].to_list()


@pytest.fixture
def generative(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """pyterrier-generative. Version 0.1.3 imports a module that pyterrier-rag 0.3.0 lacks; its function is ``prompt`` there."""
    needed = "pyterrier_rag.prompt.jinja"
    if importlib.util.find_spec(needed) is None:
        stand_in = ModuleType(needed)
        stand_in.jinja_formatter = importlib.import_module("pyterrier_rag.prompt").prompt  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, needed, stand_in)
    return needs("pyterrier_generative")


def test_listwise_reranking_of_what_ours_found(
    index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame, loader: pt.Transformer, generative: ModuleType
) -> None:
    """A language model that turns every list round: the last of our documents comes first."""
    told = Told(lambda prompt: " > ".join(f"[{number}]" for number in reversed(re.findall(r"\[(\d+)\]", prompt))))
    single = generative.Algorithm.SINGLE_WINDOW
    ranker = generative.GenerativeRanker(
        told, "{% for passage in passages %}[{{ loop.index }}] {{ passage }}\n{% endfor %}", algorithm=single
    )
    ours = (index.retriever(model, 6) >> loader)(queries)
    found = ranker.transform(ours)
    assert len(told.prompts) == len(queries)
    for qid, ranking in found.groupby("qid"):
        assert ranking.sort_values("rank")["docno"].to_list() == ours.loc[ours["qid"] == qid, "docno"].to_list()[::-1]
    assert np.array_equal(np.sort(found["rank"].unique()), np.arange(6))
