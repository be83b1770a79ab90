"""The BERT reranker: best passages, checkpoints, systems from text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
import torch

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DocumentNotFoundError, ModelError, UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow
from ance_ir.models import CrossEncoder
from ance_ir.pipelines import BertReranker, ReciprocalRankFusion, Systems, dataset_bm25
from tests.tiny import WORDS, cross_encoder, encoder

FRAME = pd.DataFrame(
    {
        "qid": ["q"] * 4,
        "query": ["king of the river"] * 4,
        "docno": ["d1", "d2", "d3", "d4"],
        "title": ["", "red", None, float("nan")],
        "text": [" ".join(WORDS), "moon", "", ""],
    }
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("collection")
    texts = {"d1": "the cat sleeps", "d2": "a dog runs and a bird sings", "d3": "a cat in the river", "d4": "the old moon and a cat"}
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"docno": docno, "title": docno, "text": text}) + "\n" for docno, text in texts.items())
    )
    (folder / "queries.tsv").write_text("q1\twho sleeps cat\nq2\tdog runs\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    return load_dataset(folder)


@pytest.mark.parametrize("scheme", [FirstP(), FirstP(20), MaxP(16, 3), SlidingWindow(16, 4)], ids=repr)
def test_scores_are_those_of_the_cross_encoder(scheme: FirstP | MaxP | SlidingWindow) -> None:
    model = cross_encoder()
    found = BertReranker(model, scheme)(FRAME)
    texts = [" ".join(WORDS), "red moon", "", ""]
    expected = model.score_documents(["king of the river"] * 4, texts, scheme)
    assert found.set_index("docno")["score"][FRAME["docno"]].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert found["rank"].tolist() == [0, 1, 2, 3]
    twins = found[found["docno"].isin(["d3", "d4"])]
    assert twins["docno"].tolist() == ["d4", "d3"], "equal texts score equally, and ties go by docno"


@pytest.mark.parametrize(
    ("aggregation", "combine"),
    [
        ("max", max),
        ("first", lambda scores: scores[0]),
        ("mean", lambda scores: sum(scores) / len(scores)),
        ("sum:2", lambda scores: sum(sorted(scores, reverse=True)[:2])),
    ],
)
def test_a_document_scores_as_its_passages_say(aggregation: str, combine: Callable[[list[float]], float]) -> None:
    model, scheme = cross_encoder(), MaxP(16, 3)
    texts = [" ".join(np.random.default_rng(number).choice(WORDS, 4 + 9 * number)) for number in range(4)]
    frame = FRAME[["qid", "query", "docno"]].assign(text=texts)
    found = BertReranker(model, scheme, aggregation=aggregation)(frame).set_index("docno")["score"]
    for docno, text in zip(frame["docno"], texts, strict=True):
        (passages,) = model.tokenizer.pairs(["king of the river"], [text], scheme)
        with torch.inference_mode():
            scores = [float(model(*model.tokenizer.pad([passage], model.device))) for passage in passages]
        assert found[docno] == pytest.approx(combine(scores), rel=1e-4, abs=1e-5)
    assert len(passages) == 3


def test_there_is_no_such_aggregation() -> None:
    with pytest.raises(UsageError, match="'best'"):
        BertReranker(cross_encoder(), aggregation="best")


def test_texts_come_from_the_dataset_where_the_frame_has_none(dataset: Dataset) -> None:
    model = cross_encoder()
    reranker = BertReranker(model, dataset=dataset)
    frame = pd.DataFrame({"qid": ["q1"] * 4, "query": ["a cat"] * 4, "docno": ["d1", "d2", "d3", "d4"], "score": 0.0, "rank": range(4)})
    found = reranker(frame)
    assert list(found.columns) == list(frame.columns)
    expected = BertReranker(model)(dataset.text_loader(("title", "text"))(frame))
    pd.testing.assert_frame_equal(found, expected[frame.columns])
    told = reranker(frame.assign(text="red moon"))
    assert told["score"].nunique() == 1, "a frame's own text is read"
    with pytest.raises(DocumentNotFoundError, match=r"1 docno.* not among the 4 documents"):
        reranker(frame.assign(docno="new"))
    assert (dataset_bm25(dataset).retriever() % 2 >> reranker)(dataset.queries())["qid"].tolist() == ["q1", "q1", "q2"]


class StandIn(pt.Transformer):
    """What rerankers of other packages look like, e.g. ``pyterrier_t5.MonoT5ReRanker``."""

    def transform(self, run: pd.DataFrame) -> pd.DataFrame:
        run = run[["qid", "query", "docno", "text"]]
        scores = [float(len(set(query.split()) & set(text.split()))) for query, text in zip(run["query"], run["text"], strict=True)]
        ranked: pd.DataFrame = pt.model.add_ranks(run.assign(score=scores)).sort_values(["qid", "rank"])
        return ranked


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")
def test_rerankers_of_other_packages_compose(dataset: Dataset) -> None:
    bm25, bert = dataset_bm25(dataset).retriever(), BertReranker(cross_encoder(), dataset=dataset)
    alone = (bm25 % 3 >> dataset.text_loader() >> StandIn())(dataset.queries())
    assert alone.groupby("qid")["docno"].first().to_dict() == {"q1": "d1", "q2": "d2"}
    for pipeline in (
        bm25 % 3 >> dataset.text_loader() >> StandIn() % 2 >> bert,
        bm25 % 3 >> bert % 2 >> dataset.text_loader() >> StandIn(),
        ReciprocalRankFusion(bm25, bm25 >> bert, bm25 >> dataset.text_loader() >> StandIn()) % 2,
    ):
        found = pipeline(dataset.queries())
        assert found.groupby("qid").size().to_dict() == {"q1": 2, "q2": 1}
        assert pt.inspect.transformer_outputs(pipeline, ["qid", "query"])


def test_a_probability_does_not_make_documents_equal() -> None:
    model = cross_encoder(score="probability")
    model.classifier.classifier.bias.data += 100
    found = BertReranker(model)(FRAME.iloc[:3])
    assert found["score"].nunique() == 3
    assert found["docno"].tolist() == BertReranker(model.with_settings(score="logit"))(FRAME.iloc[:3])["docno"].tolist()
    assert set(model.score(FRAME["query"].to_list(), ["a", "b", "c", "d"])) == {1.0}


def test_from_pretrained(tmp_path: Path) -> None:
    cross_encoder().save(tmp_path / "x")
    reranker = BertReranker.from_pretrained(tmp_path / "x", MaxP(16, 2), device="cpu", query_length=5, fields=("text",))
    assert (reranker.passages, reranker.model.settings.query_length, reranker.model.settings.fields) == (MaxP(16, 2), 5, ("text",))
    assert BertReranker.from_pretrained(tmp_path / "x", device="cpu").passages == FirstP()
    with pytest.raises(UsageError, match="pairs of 100 tokens are more than the 64"):
        BertReranker.from_pretrained(tmp_path / "x", MaxP(100, 2), device="cpu")
    with pytest.raises(ModelError, match="no model 'nobody'"):
        BertReranker.from_pretrained("nobody")


@pytest.mark.parametrize("missing", [None, float("nan"), 7])
def test_a_query_that_is_no_string_is_refused(missing: object) -> None:
    with pytest.raises(UsageError, match="query q must be a string, found"):
        BertReranker(cross_encoder())(FRAME.assign(query=pd.Series([missing] * 4, dtype=object)))


def test_a_system_with_a_reranker(dataset: Dataset, tmp_path: Path) -> None:
    model = cross_encoder()
    model.save(tmp_path / "bert")
    name, system = Systems(dataset, device="cpu").parse(f"two=bm25 % 2 >> {tmp_path / 'bert'}")
    assert name == "two"
    found = system(dataset.queries())
    first = (dataset_bm25(dataset).retriever() % 2)(dataset.queries())
    expected = BertReranker(model)(dataset.text_loader(("title", "text"))(first))
    assert found[["qid", "docno", "rank"]].equals(expected[["qid", "docno", "rank"]])
    assert found["score"].tolist() == pytest.approx(expected["score"].tolist(), rel=1e-6)
    assert len(found) == 3


def test_a_model_is_opened_once(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cross_encoder().save(tmp_path / "bert")
    opened = []
    original = CrossEncoder.from_pretrained
    monkeypatch.setattr(CrossEncoder, "from_pretrained", lambda *args, **kwargs: opened.append(args) or original(*args, **kwargs))
    systems = Systems(dataset, device="cpu")
    for cut in (1, 2):
        systems.parse(f"bm25 % {cut} >> {tmp_path / 'bert'}")
    assert len(opened) == 1


def test_a_reranker_does_not_retrieve(dataset: Dataset, tmp_path: Path) -> None:
    cross_encoder().save(tmp_path / "bert")
    with pytest.raises(UsageError, match="bert is a reranker"):
        Systems(dataset).parse(str(tmp_path / "bert"))
    encoder().save(tmp_path / "dense")
    with pytest.raises(UsageError, match=r"dense is a dense model: ance\[model=.*dense\] makes an index of the dataset with it"):
        Systems(dataset).parse(f"bm25 >> {tmp_path / 'dense'}")
    (tmp_path / "bert" / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="is no index, and does not open as a reranker: "):
        Systems(dataset).parse(f"bm25 >> {tmp_path / 'bert'}")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(ModelError, match="this training run has not ended"):
        Systems(dataset).parse(f"bm25 >> {tmp_path / 'run'}")
